package lsp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/sourcegraph/jsonrpc2"
)

// maxMessageBytes bounds a message. Editors give no file of that size to a server.
const maxMessageBytes = 256 << 20

// stream reads and writes messages with the protocol's header. What is no message is answered here, since the
// connection would end over it.
type stream struct {
	in  io.ReadCloser
	out io.WriteCloser
	r   *bufio.Reader

	writing sync.Mutex

	mu     sync.Mutex
	failed error // what reading ended with, unless it is the end
}

var _ jsonrpc2.ObjectStream = (*stream)(nil)

func newStream(in io.ReadCloser, out io.WriteCloser) *stream {
	return &stream{in: in, out: out, r: bufio.NewReader(in)}
}

// WriteObject writes a message.
func (s *stream) WriteObject(message any) error {
	var b bytes.Buffer
	if err := (jsonrpc2.VSCodeObjectCodec{}).WriteObject(&b, message); err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	_, err := s.out.Write(b.Bytes())
	return err
}

// ReadObject reads the next message.
func (s *stream) ReadObject(message any) error {
	for {
		body, err := s.frame()
		if err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			if !errors.Is(err, io.EOF) {
				s.failed = err
			}
			return err
		}
		refusal := refuse(body)
		if refusal == nil {
			if err := json.Unmarshal(body, message); err == nil {
				return nil
			}
			refusal = &refused{Error: jsonrpc2.Error{Code: jsonrpc2.CodeInvalidRequest, Message: "this is neither a request nor a response"}}
		}
		if err := s.WriteObject(refusal); err != nil {
			return err
		}
	}
}

// failure is why reading ended; nil at the end of the input.
func (s *stream) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Close closes both directions.
func (s *stream) Close() error { return errors.Join(s.in.Close(), s.out.Close()) }

// frame reads a header and its body.
func (s *stream) frame() ([]byte, error) {
	length, err := s.header()
	if err != nil {
		return nil, err
	}
	var body bytes.Buffer // grows with what really comes
	if _, err := io.CopyN(&body, s.r, length); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return body.Bytes(), nil
}

// header reads a header and returns the length it gives. The error is io.EOF where the input ends before it.
func (s *stream) header() (int64, error) {
	length := int64(-1)
	for first := true; ; first = false {
		line, err := s.r.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && (!first || len(line) > 0):
			return 0, io.ErrUnexpectedEOF
		case err != nil:
			return 0, err
		}
		field := strings.TrimRight(string(line), "\r\n")
		if field == "" {
			break
		}
		if name, value, _ := strings.Cut(field, ":"); strings.EqualFold(name, "Content-Length") {
			if length, err = parseLength(strings.TrimSpace(value)); err != nil {
				return 0, err
			}
		}
	}
	if length < 0 {
		return 0, errors.New("a message has no Content-Length")
	}
	return length, nil
}

func parseLength(value string) (int64, error) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 || n > maxMessageBytes {
		return 0, fmt.Errorf("a message's Content-Length is %q, which is no length", value)
	}
	return n, nil
}

// refused is the answer to what has no id that could be answered.
type refused struct {
	ID    *jsonrpc2.ID
	Error jsonrpc2.Error
}

// MarshalJSON writes the id as null, as JSON-RPC wants it.
func (r *refused) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Version string          `json:"jsonrpc"`
		ID      *jsonrpc2.ID    `json:"id"`
		Error   *jsonrpc2.Error `json:"error"`
	}{"2.0", r.ID, &r.Error})
}

// refuse finds what the connection would end over, or answer under another id.
func refuse(body []byte) *refused {
	if !json.Valid(body) {
		return &refused{Error: jsonrpc2.Error{Code: jsonrpc2.CodeParseError, Message: "this is no JSON"}}
	}
	var head struct {
		ID json.RawMessage `json:"id"`
	}
	if err := json.Unmarshal(body, &head); err != nil || head.ID == nil {
		return nil // whoever reads it refuses it, or it is a notification
	}
	var id jsonrpc2.ID
	if err := json.Unmarshal(head.ID, &id); err != nil {
		return &refused{Error: jsonrpc2.Error{Code: jsonrpc2.CodeInvalidRequest, Message: "an id is a positive number or a string"}}
	}
	return nil
}
