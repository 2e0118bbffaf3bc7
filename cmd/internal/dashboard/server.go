package dashboard

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"datablock"
	"datablock/cmd/internal/foxglove"
)

// The limits of a client.
const (
	headerTimeout   = 5 * time.Second
	requestTimeout  = 10 * time.Second // to send the request
	answerTimeout   = 30 * time.Second // to take the answer; for an event: eventTimeout
	eventTimeout    = 5 * time.Second
	idleTimeout     = time.Minute
	headerMost      = 16 << 10
	bodyMost        = 4 << 10
	connectionsMost = 256
	streamsMost     = 32
	requestsMost    = 16 // at once that read blocks
)

// Server serves one directory of blocks.
type Server struct {
	*checked
	listener net.Listener
	sampler  *sampler
	actions  *confirmations
	streams  semaphore
	requests semaphore
	refused  refusals
	foxglove *foxglove.Handler
	ending   chan struct{} // closed: every stream ends
}

// New checks the options and opens the port. Errors: *datablock.Error if the port cannot be opened,
// any other error for options that make no sense.
func New(o Options) (*Server, error) {
	c, err := o.check()
	if err != nil {
		return nil, err
	}
	if _, err := datablock.List(c.Directory); err != nil {
		return nil, err
	}
	listener, err := c.listen()
	if err != nil {
		return nil, err
	}
	live := foxglove.New(foxglove.Directory(c.Directory))
	live.Origins = c.Origins
	return &Server{
		foxglove: live,
		checked:  c, listener: listener, sampler: newSampler(c), actions: newConfirmations(),
		streams: make(semaphore, streamsMost), requests: make(semaphore, requestsMost), ending: make(chan struct{}),
	}, nil
}

// Address is where a browser finds the page.
func (s *Server) Address() string {
	host, port, _ := net.SplitHostPort(s.listener.Addr().String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
		if s.names != nil && len(s.names.DNSNames) > 0 {
			host = s.names.DNSNames[0]
		}
	}
	return s.scheme() + "://" + net.JoinHostPort(host, port) + "/"
}

// GeneratedToken is the token that the server made for itself, "" if the operator gave one.
func (s *Server) GeneratedToken() string {
	if s.generated {
		return s.token
	}
	return ""
}

func (s *Server) scheme() string {
	if s.certificate != nil {
		return "https"
	}
	return "http"
}

// Serve answers requests until the context ends, and then returns at once: event streams are
// closed, other requests get a second. It closes the port.
func (s *Server) Serve(ctx context.Context) error {
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: headerTimeout, ReadTimeout: requestTimeout,
		WriteTimeout: answerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerMost,
		ErrorLog: log.New(errorLog{s}, "", 0),
	}
	var listener net.Listener = &limited{Listener: s.listener, free: make(semaphore, connectionsMost)}
	if s.certificate != nil {
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{*s.certificate},
			MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	}
	sampling, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { s.sampler.run(sampling) })
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	close(s.ending)
	s.foxglove.Close() // the server does not know its connections any more
	closing, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if server.Shutdown(closing) != nil {
		_ = server.Close()
	}
	stop()
	group.Wait()
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return &datablock.Error{Code: datablock.ErrSystem, Detail: "the server ended: " + err.Error()}
	}
	return nil
}

// errorLog has what net/http reports about clients. Handshakes that fail are the clients' affair.
type errorLog struct{ s *Server }

func (l errorLog) Write(line []byte) (int, error) {
	if text := strings.TrimSpace(string(line)); !strings.Contains(text, "TLS handshake error") {
		l.s.Log("%s", text)
	}
	return len(line), nil
}

// semaphore bounds how many hold it at once.
type semaphore chan struct{}

func (s semaphore) try() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s semaphore) release() { <-s }

// limited is a listener with a bounded number of open connections. Further ones wait for their
// turn.
type limited struct {
	net.Listener
	free semaphore
}

func (l *limited) Accept() (net.Conn, error) {
	l.free <- struct{}{}
	connection, err := l.Listener.Accept()
	if err != nil {
		l.free.release()
		return nil, err
	}
	return &counted{Conn: connection, free: l.free}, nil
}

type counted struct {
	net.Conn
	free semaphore
	once sync.Once
}

func (c *counted) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.free.release)
	return err
}
