package dashboard

import (
	"bytes"
	"embed"
	"io/fs"
	"net/http"
	"strings"

	_ "embed"
)

//go:embed page
var pageFiles embed.FS

//go:embed openapi.json
var description []byte

// foxglovePath is where Foxglove and PlotJuggler connect. The handler checks the origin of a
// request itself: it may accept the page of another site.
const foxglovePath = "/foxglove"

// route is one thing that the server does. The description, openapi.json, has each of them.
type route struct {
	method, path string
	handler      http.HandlerFunc
}

func (s *Server) routes() []route {
	return []route{
		{"GET", "/api/v1/server", s.about},
		{"GET", "/api/v1/blocks", s.readable(s.bounded(s.blocks))},
		{"GET", "/api/v1/blocks/{name}", s.readable(s.bounded(s.block))},
		{"GET", "/api/v1/events", s.readable(s.events)},
		{"GET", "/api/v1/openapi.json", s.describe},
		{"GET", foxglovePath, s.readable(s.foxglove.ServeHTTP)},
		{"GET", "/metrics", s.readable(s.bounded(s.metrics()))},
		{"POST", "/api/v1/blocks/{name}/actions/dry-run", s.acting(s.bounded(s.dryRun))},
		{"POST", "/api/v1/blocks/{name}/actions", s.acting(s.bounded(s.act))},
		{"GET", "/", s.page},
	}
}

// Handler answers every request.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.HandleFunc(r.method+" "+r.path, r.handler)
	}
	return s.guarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, bodyMost)
		if r.Method == http.MethodGet && r.URL.Path != "/" && strings.HasSuffix(r.URL.Path, "/") {
			refuse(w, http.StatusNotFound, "there is nothing at %s", r.URL.Path)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

// bounded is a handler of which few run at once: each may map blocks. A client that takes its
// answer slowly does not count.
func (s *Server) bounded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		held := &heldAnswer{ResponseWriter: w, status: http.StatusOK}
		select {
		case s.requests <- struct{}{}:
			func() {
				defer s.requests.release()
				next(held, r)
			}()
		case <-r.Context().Done():
			return
		case <-s.ending:
			return
		}
		w.WriteHeader(held.status)
		_, _ = w.Write(held.body.Bytes())
	}
}

// heldAnswer keeps an answer until it is complete.
type heldAnswer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (h *heldAnswer) WriteHeader(status int)         { h.status = status }
func (h *heldAnswer) Write(text []byte) (int, error) { return h.body.Write(text) }

// about says what a client may do here. It names no block, and needs no token.
func (s *Server) about(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, aboutJSON{s.Version, s.Interval.Milliseconds(), !s.loopback || s.Private, s.Actions})
}

type aboutJSON struct {
	Version           string `json:"version"`
	IntervalMs        int64  `json:"interval_ms"`
	ReadingNeedsToken bool   `json:"reading_needs_token"`
	Actions           bool   `json:"actions"`
}

func (s *Server) describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(description)
}

func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // the folder was embedded
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		name = "index.html"
	}
	if info, err := fs.Stat(files, name); err != nil || info.IsDir() || strings.HasSuffix(name, ".md") {
		refuse(w, http.StatusNotFound, "there is nothing at %s", r.URL.Path)
		return
	}
	if strings.HasSuffix(name, ".js") {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8") // the system's table may differ
	}
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeFileFS(w, r, files, name)
}

func (s *Server) blocks(w http.ResponseWriter, r *http.Request) {
	reading, err := s.sampler.current(r.Context())
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, "%v", err)
		return
	}
	answer(w, http.StatusOK, reading.all(true))
}

func (s *Server) block(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	reading, err := s.sampler.current(r.Context())
	switch {
	case err != nil:
		refuse(w, http.StatusServiceUnavailable, "%v", err)
	case reading.find(name) == nil:
		refuse(w, http.StatusNotFound, "there is no block %q", name)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(append(reading.detail(name, true), '\n'))
	}
}
