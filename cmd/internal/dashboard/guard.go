package dashboard

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

// failure is the body of every answer that is an error.
type failure struct {
	Error  string `json:"error"`
	Status int    `json:"status"`
}

func refuse(w http.ResponseWriter, status int, format string, arguments ...any) {
	answer(w, status, failure{fmt.Sprintf(format, arguments...), status})
}

func answer(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil { // a value that JSON lacks, such as a NaN that was not expected
		status = http.StatusInternalServerError
		text, _ = json.Marshal(failure{err.Error(), status})
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}

// policy lets the page load nothing but its own files, and no other page show it in a frame.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// guarded is the handler behind the checks that every request passes.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		switch {
		case !s.isOwnHost(r.Host):
			refuse(w, http.StatusMisdirectedRequest, "the name %q is none of this server's: use the address that it "+
				"printed", r.Host)
		case r.URL.Path != foxglovePath && !s.isSameOrigin(r):
			refuse(w, http.StatusForbidden, "another site sent this request: only this server's own page may")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// isOwnHost is the answer to DNS rebinding: a page of another site, whose name leads to this
// address by now, sends its own name. Addresses are not names, and no page can have a foreign one.
func (s *Server) isOwnHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "localhost" {
		return s.loopback
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return !s.loopback || ip.IsLoopback()
	}
	return s.names != nil && s.names.VerifyHostname(host) == nil
}

// isSameOrigin reports whether the request comes from the server's own page, or from no page. The
// links of other sites may open the page itself.
func (s *Server) isSameOrigin(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		at, err := url.Parse(origin)
		if err != nil || at.Host != r.Host || at.Scheme != s.scheme() {
			return false
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return true
	}
	navigates := r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" &&
		r.Header.Get("Sec-Fetch-Dest") == "document"
	return navigates && r.URL.Path == "/"
}

// readable is a handler that needs the token where reading needs it.
func (s *Server) readable(next http.HandlerFunc) http.HandlerFunc {
	if s.loopback && !s.Private {
		return next
	}
	return s.authorized(next)
}

// authorized is a handler that needs the token.
func (s *Server) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if s.token != "" && bearer && same(token, s.token) {
			next(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="datablock"`)
		if !bearer {
			refuse(w, http.StatusUnauthorized, "this needs the header Authorization: Bearer TOKEN")
			return
		}
		s.refused.log(s.Log, r.RemoteAddr)
		refuse(w, http.StatusUnauthorized, "the token is wrong")
	}
}

// refusals logs wrong tokens, at most one line a second.
type refusals struct {
	mu      sync.Mutex
	last    time.Time
	skipped int
}

func (c *refusals) log(log func(string, ...any), from string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.last) < time.Second {
		c.skipped++
		return
	}
	log("refused a wrong token from %s (%d more since the last line)", from, c.skipped)
	c.last, c.skipped = time.Now(), 0
}

// same compares in a time that says nothing about where the strings differ.
func same(a, b string) bool {
	first, second := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(first[:], second[:]) == 1
}
