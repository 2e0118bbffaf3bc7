package dashboard

import (
	"bytes"
	"fmt"
	"net/http"
	"time"
)

// events sends each reading as a server-sent event: of all blocks, or with ?block=NAME all about
// one block.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	if !s.streams.try() {
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, "%d event streams are open, and more are not allowed: close a page",
			streamsMost)
		return
	}
	defer s.streams.release()
	name, one := "", r.URL.Query().Has("block")
	if one {
		name = r.URL.Query().Get("block")
	}
	control := http.NewResponseController(w)
	if control.SetReadDeadline(time.Time{}) != nil { // the deadline of the request would end the stream
		refuse(w, http.StatusInternalServerError, "this connection cannot stream")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	send := func(text []byte) bool {
		_ = control.SetWriteDeadline(time.Now().Add(eventTimeout))
		_, err := w.Write(text)
		return err == nil && control.Flush() == nil
	}
	readings, end := s.sampler.watch()
	defer end()
	if !send([]byte(": reading\n\n")) {
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case <-s.ending:
			send([]byte("event: end\ndata: {}\n\n"))
			return
		case reading := <-readings:
			text := reading.event()
			if one {
				text = event("block", reading.detail(name, false))
			}
			if !send(text) {
				return
			}
		}
	}
}

// event is one event. JSON has no line breaks of its own.
func event(kind string, body []byte) []byte {
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", kind, bytes.TrimSpace(body))
}
