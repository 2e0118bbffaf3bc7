// Package dashboard serves the blocks of a directory over HTTP: a page, a JSON interface, metrics
// for Prometheus, and recovery.
package dashboard

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"time"

	"datablock"
)

// DefaultListen is the address of a server that is not given another one.
const DefaultListen = "127.0.0.1:7411"

const (
	leastInterval = 100 * time.Millisecond
	tokenLength   = 16 // bytes, the least
	tokenFileMost = 4096
)

// Options are the settings of a server.
type Options struct {
	Directory   string        // as in datablock.Config
	Listen      string        // HOST:PORT; "" is DefaultListen
	Interval    time.Duration // between two readings; 0 is one second
	Certificate string        // file, PEM; "" for plain HTTP
	Key         string        // file, PEM
	TokenFile   string        // "": no token, or with Actions a generated one
	Origins     []string      // hosts of other sites whose pages may connect as Foxglove does
	Actions     bool          // recovery by POST requests
	Private     bool          // reading needs the token on loopback, too
	Version     string        // of the program
	Advise      Advice        // nil: none
	// Log writes a line for the operator: actions, and what was refused. Several goroutines call
	// it.
	Log func(format string, arguments ...any)
}

// checked is what the options come to.
type checked struct {
	Options
	address     string // to listen on: an IP address and a port
	loopback    bool
	certificate *tls.Certificate
	names       *x509.Certificate // nil: none
	token       string            // "" for none
	generated   bool              // the token is not the operator's
}

func (o Options) check() (*checked, error) {
	c := &checked{Options: o}
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.Interval == 0 {
		c.Interval = time.Second
	}
	if c.Interval < leastInterval {
		return nil, fmt.Errorf("--interval=%v: at least %v", c.Interval, leastInterval)
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	if err := c.resolve(); err != nil {
		return nil, err
	}
	if err := c.readCertificate(); err != nil {
		return nil, err
	}
	if err := c.readToken(); err != nil {
		return nil, err
	}
	if !c.loopback && (c.TokenFile == "" || c.certificate == nil) {
		return nil, fmt.Errorf("--listen %s can be reached from other machines: give --token-file, --tls-cert and "+
			"--tls-key as well, or listen on 127.0.0.1 and use an SSH tunnel", c.Listen)
	}
	if c.Private && c.token == "" {
		return nil, errors.New("--private needs a token: give --token-file, or --actions, which makes one")
	}
	return c, nil
}

// resolve makes an IP address of the host, once, so that the address that is checked is the address
// that is used.
func (c *checked) resolve() error {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen %q: give HOST:PORT, such as %s", c.Listen, DefaultListen)
	}
	if host == "" || host == "*" {
		c.address = net.JoinHostPort("", port)
		return nil
	}
	resolved, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return fmt.Errorf("--listen %q: %w", c.Listen, err)
	}
	c.address, c.loopback = resolved.String(), resolved.IP.IsLoopback()
	return nil
}

func (c *checked) readCertificate() error {
	switch {
	case c.Certificate == "" && c.Key == "":
		return nil
	case c.Certificate == "" || c.Key == "":
		return errors.New("--tls-cert and --tls-key belong together: give both")
	}
	pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
	if err != nil {
		return fmt.Errorf("--tls-cert %s, --tls-key %s: %w", c.Certificate, c.Key, err)
	}
	c.certificate, c.names = &pair, pair.Leaf
	return nil
}

func (c *checked) readToken() error {
	switch {
	case c.TokenFile != "":
	case c.Actions:
		random := make([]byte, 24)
		_, _ = rand.Read(random) // never fails
		c.token, c.generated = base64.RawURLEncoding.EncodeToString(random), true
		return nil
	default:
		return nil
	}
	info, err := os.Stat(c.TokenFile)
	if err != nil {
		return fmt.Errorf("--token-file: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().IsRegular() && info.Mode().Perm()&0o007 != 0 {
		return fmt.Errorf("--token-file %s: every user may use it (mode %03o): chmod o= %s", c.TokenFile,
			info.Mode().Perm(), c.TokenFile)
	}
	if info.Size() > tokenFileMost {
		return fmt.Errorf("--token-file %s: %d bytes are too many for a token", c.TokenFile, info.Size())
	}
	content, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return fmt.Errorf("--token-file: %w", err)
	}
	c.token = strings.TrimSpace(string(content))
	if len(c.token) < tokenLength {
		return fmt.Errorf("--token-file %s: the token has %d characters, at least %d are needed; this makes one: "+
			"openssl rand -hex 24", c.TokenFile, len(c.token), tokenLength)
	}
	if at := strings.IndexFunc(c.token, func(r rune) bool { return r <= ' ' || r > '~' }); at >= 0 {
		return fmt.Errorf("--token-file %s: the token has a space or a character that is not ASCII: use one line of "+
			"letters and digits", c.TokenFile)
	}
	return nil
}

// listen opens the port.
func (c *checked) listen() (net.Listener, error) {
	listener, err := net.Listen("tcp", c.address)
	if err != nil {
		return nil, &datablock.Error{Code: datablock.ErrSystem, Detail: fmt.Sprintf("cannot listen on %s: %v: is "+
			"another server running? --listen takes another address, such as 127.0.0.1:0 for any free port", c.Listen,
			systemPart(err))}
	}
	return listener, nil
}

// systemPart is the system's own message within an error of package net.
func systemPart(err error) error {
	var call *os.SyscallError
	if errors.As(err, &call) {
		return call.Err
	}
	return err
}
