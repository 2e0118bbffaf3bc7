package dashboard

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"datablock/cmd/internal/faults"
	"datablock/internal/core/recovery"

	"datablock"
)

// actionRequest is the body of both requests of an action.
type actionRequest struct {
	Action       string  `json:"action"`
	Slot         *uint32 `json:"slot,omitempty"`
	Row          *uint32 `json:"row,omitempty"`
	Force        bool    `json:"force,omitempty"`
	OlderThanMs  int64   `json:"older_than_ms,omitempty"` // of cleanup
	Confirmation string  `json:"confirmation,omitempty"`
}

// action is one thing that the server can do to a block.
type action struct {
	name            string
	slot, row       bool // it needs one
	force, olderMay bool // it takes one
	// plan lists what the action would do, and identifies what it takes from a living participant.
	plan func(s *Server, block string, r *actionRequest) (plan, error)
	do   func(s *Server, block string, r *actionRequest) (result []string, err error)
}

// plan is the result of a dry run.
type plan struct {
	steps  []string
	target string
}

// errWrong is a request that makes no sense.
var errWrong = errors.New("wrong request")

func wrong(format string, arguments ...any) error {
	return fmt.Errorf("%w: %s", errWrong, fmt.Sprintf(format, arguments...))
}

// dryRunJSON is the answer to a dry run. Without steps there is no confirmation.
type dryRunJSON struct {
	Block        string     `json:"block"`
	BlockID      string     `json:"block_id"`
	Action       string     `json:"action"`
	Steps        []string   `json:"steps"`
	Confirmation string     `json:"confirmation,omitempty"`
	ExpiresAt    *time.Time `json:"expires_at,omitempty"`
}

type actionJSON struct {
	Block   string   `json:"block"`
	BlockID string   `json:"block_id"`
	Action  string   `json:"action"`
	Result  []string `json:"result"`
	Left    string   `json:"left,omitempty"` // what was not done, and why
}

// acting is a handler of requests that may change a block.
func (s *Server) acting(next http.HandlerFunc) http.HandlerFunc {
	if !s.Actions {
		return func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, http.StatusForbidden, "this server only shows: start it with --actions to allow recovery")
		}
	}
	return s.authorized(next)
}

// readAction reads the body of a request and finds its action.
func readAction(w http.ResponseWriter, r *http.Request) (a *action, request *actionRequest, ok bool) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		refuse(w, http.StatusUnsupportedMediaType, "the body has to be application/json")
		return nil, nil, false
	}
	request = &actionRequest{}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(request)
	if err == nil && decoder.Decode(&struct{}{}) != io.EOF {
		err = errors.New("it has more than one value")
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		refuse(w, http.StatusRequestEntityTooLarge, "the body has more than %d bytes", large.Limit)
		return nil, nil, false
	case err != nil:
		refuse(w, http.StatusBadRequest, "the body is no action: %v", err)
		return nil, nil, false
	}
	if a, err = request.find(); err != nil {
		refuse(w, http.StatusBadRequest, "%v", err)
		return nil, nil, false
	}
	return a, request, true
}

// find returns the action of a request that has what the action needs, and nothing else.
func (r *actionRequest) find() (*action, error) {
	for i := range actions {
		a := &actions[i]
		if a.name != r.Action {
			continue
		}
		for _, field := range []struct {
			name                string
			given, needed, take bool
		}{
			{"slot", r.Slot != nil, a.slot, a.slot}, {"row", r.Row != nil, a.row, a.row},
			{"force", r.Force, false, a.force}, {"older_than_ms", r.OlderThanMs != 0, false, a.olderMay},
		} {
			switch {
			case field.needed && !field.given:
				return nil, wrong("%s needs %q", a.name, field.name)
			case field.given && !field.take:
				return nil, wrong("%s takes no %q", a.name, field.name)
			}
		}
		if r.OlderThanMs < 0 || r.OlderThanMs > int64(1<<53) {
			return nil, wrong("older_than_ms: from 0 to 2^53")
		}
		return a, nil
	}
	names := make([]string, len(actions))
	for i := range actions {
		names[i] = actions[i].name
	}
	return nil, wrong("action %q: there are %s", r.Action, strings.Join(names, ", "))
}

// dryRun answers what an action would do, with a confirmation if that is anything.
func (s *Server) dryRun(w http.ResponseWriter, r *http.Request) {
	a, request, ok := readAction(w, r)
	if !ok {
		return
	}
	if request.Confirmation != "" {
		refuse(w, http.StatusBadRequest, "a dry run makes the confirmation, and takes none")
		return
	}
	name := r.PathValue("name")
	var was identity
	var found plan
	err := faults.Catch(func() (err error) {
		if was, err = s.identify(name); err == nil {
			found, err = a.plan(s, name, request)
		}
		return err
	})
	if err != nil {
		refuse(w, statusOf(err), "%v", err)
		return
	}
	body := dryRunJSON{Block: name, BlockID: was.id, Action: a.name, Steps: append([]string{}, found.steps...)}
	if len(found.steps) > 0 {
		confirmation, until := s.actions.add(promise{name, was, *request, found.target})
		body.Confirmation, body.ExpiresAt = confirmation, &until
	}
	answer(w, http.StatusOK, body)
}

// act does what a dry run has shown.
func (s *Server) act(w http.ResponseWriter, r *http.Request) {
	a, request, ok := readAction(w, r)
	if !ok {
		return
	}
	name := r.PathValue("name")
	promised, known := s.actions.take(request.Confirmation)
	if !known {
		s.Log("refused %s on block %q: no valid confirmation", a.name, name)
		refuse(w, http.StatusConflict, "the confirmation is unknown, used or too old: make a dry run first")
		return
	}
	var result []string
	err := faults.Catch(func() (err error) {
		if err := s.stillTrue(name, a, request, promised); err != nil {
			return err
		}
		result, err = a.do(s, name, request)
		return err
	})
	left := ""
	if errors.Is(err, recovery.ErrLeft) { // all that may be done was done
		left, err = err.Error(), nil
	}
	if err != nil {
		s.Log("%s on block %q (%s) for %s failed: %v", a.describe(request), name, promised.was.id, r.RemoteAddr, err)
		refuse(w, statusOf(err), "%v", err)
		return
	}
	s.Log("%s on block %q (%s) for %s: %s", a.describe(request), name, promised.was.id, r.RemoteAddr,
		strings.Join(append(append([]string{}, result...), left), " "))
	answer(w, http.StatusOK, actionJSON{name, promised.was.id, a.name, append([]string{}, result...), left})
}

// describe is the request in one line.
func (a *action) describe(r *actionRequest) string {
	text := a.name
	if r.Slot != nil {
		text += fmt.Sprintf(" slot %d", *r.Slot)
	}
	if r.Row != nil {
		text += fmt.Sprintf(" row %d", *r.Row)
	}
	if a.olderMay {
		text += fmt.Sprintf(" older than %d ms", r.OlderThanMs)
	}
	if r.Force {
		text += " by force"
	}
	return text
}

// errChanged is a confirmation for something that is no longer so.
var errChanged = errors.New("the confirmation is for something else")

// stillTrue compares a request, and the block as it is now, with the dry run.
func (s *Server) stillTrue(name string, a *action, r *actionRequest, promised promise) error {
	if !sameRequest(r, &promised.request) || name != promised.block {
		return fmt.Errorf("%w: another action, or another block", errChanged)
	}
	is, err := s.identify(name)
	if err != nil {
		return err
	}
	if !is.is(promised.was) {
		return fmt.Errorf("%w: another block has the name %q by now", errChanged, name)
	}
	if promised.target == "" {
		return nil
	}
	now, err := a.plan(s, name, r)
	if err == nil && now.target != promised.target {
		err = fmt.Errorf("%w: since the dry run another participant, or another message, has taken the place: make "+
			"another dry run", errChanged)
	}
	return err
}

func sameRequest(a, b *actionRequest) bool {
	same := func(x, y *uint32) bool { return x == nil && y == nil || x != nil && y != nil && *x == *y }
	return a.Action == b.Action && a.Force == b.Force && a.OlderThanMs == b.OlderThanMs && same(a.Slot, b.Slot) &&
		same(a.Row, b.Row)
}

// statusOf is the HTTP status of an error.
func statusOf(err error) int {
	switch {
	case errors.Is(err, errWrong), errors.Is(err, datablock.ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, errChanged), errors.Is(err, datablock.ErrBusy), errors.Is(err, datablock.ErrProducerActive):
		return http.StatusConflict
	case errors.Is(err, datablock.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, datablock.ErrAccess):
		return http.StatusForbidden
	}
	return http.StatusInternalServerError
}
