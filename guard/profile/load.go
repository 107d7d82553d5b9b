package profile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
)

// maxBytes bounds the file: none is as large.
const maxBytes = 1 << 20

// Error is what is wrong with a profile.
type Error struct {
	File   string // path of the profile
	Line   int    // in the file; 0: not in one line
	Field  string // "tmpfs[0].path"; empty: the whole file
	Reason string
	Hint   string // what to do about it; may be empty
}

// Error is one line: where, what and why.
func (e *Error) Error() string {
	at := e.File
	if at != "" && e.Line > 0 {
		at = fmt.Sprintf("%s:%d", at, e.Line)
	}
	if at != "" {
		at += ": "
	}
	if e.Field != "" {
		return at + e.Field + ": " + e.Reason
	}
	return at + e.Reason
}

// Load reads and checks the profile in dir. What is wrong with its content is an *Error; errors.Is
// fs.ErrNotExist where there is none. A seccomp file that it names is there, and is not read.
func Load(dir string) (*Profile, error) {
	name := filepath.Join(dir, FileName)
	data, err := ReadRegular(name, maxBytes)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	p, err := Parse(data)
	if err == nil && p.Seccomp != "" {
		err = checkBeside(dir, p.Seccomp)
	}
	if e, ok := errors.AsType[*Error](err); ok {
		e.File = name
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// ReadRegular reads a regular file of at most so many bytes.
func ReadRegular(name string, most int64) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0) // or a pipe would keep us waiting
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read only
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s is larger than %d bytes", name, most)
	}
	return b, err
}

func checkBeside(dir, name string) error {
	reason := "is not a regular file"
	st, err := os.Stat(filepath.Join(dir, name))
	if err != nil {
		reason = "cannot be read beside the profile: " + errors.Unwrap(err).Error()
	}
	if err == nil && st.Mode().IsRegular() {
		return nil
	}
	return &Error{Field: "seccomp", Reason: name + " " + reason, Hint: "put it there, or prove the image again"}
}

// Filter reads the seccomp file beside the profile and resolves it for the capabilities that are kept; nil
// where the profile names none and the default one is meant.
func (p *Profile) Filter(dir string) (*specs.LinuxSeccomp, error) {
	if p.Seccomp == "" {
		return nil, nil
	}
	name := filepath.Join(dir, p.Seccomp)
	data, err := ReadRegular(name, maxBytes)
	if err != nil {
		return nil, fmt.Errorf("read seccomp profile: %w", err)
	}
	filter, err := seccomp.ParseProfile(data, p.Capabilities)
	if err != nil {
		return nil, fmt.Errorf("read seccomp profile %s: %w", name, err)
	}
	return filter, nil
}

// Parse reads and checks a profile. A field that this version does not know is an error: to leave it out
// could mean to run with more than was proven.
func Parse(data []byte) (*Profile, error) {
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, placed(err, data)
	}
	if head.Version == nil {
		return nil, &Error{Field: "version", Reason: "missing", Hint: fmt.Sprintf(`write "version": %d`, Version)}
	}
	if *head.Version != Version {
		return nil, &Error{
			Field: "version", Reason: fmt.Sprintf("%d is not known here, only %d is", *head.Version, Version),
			Hint: "use the deckhand that wrote the profile, or prove the image again",
		}
	}
	if err := checkNames(data); err != nil {
		return nil, err
	}
	p := &Profile{}
	if err := json.Unmarshal(data, p); err != nil {
		return nil, placed(err, data)
	}
	return p, p.Check()
}

// placed makes an *Error of one of encoding/json.
func placed(err error, data []byte) error {
	e := &Error{Reason: err.Error()}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		e.Line = lineAt(data, syntax.Offset)
	}
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		e.Line, e.Field = lineAt(data, kind.Offset), kind.Field
		e.Reason = fmt.Sprintf("a JSON %s where %s is needed", kind.Value, needed(kind.Type.Kind()))
	}
	return e
}

// needed is JSON's name for what is read into a Go value of that kind.
func needed(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Int:
		return "a number"
	default:
		return "an object"
	}
}

// lineAt is the line, counted from 1, of the byte before offset.
func lineAt(data []byte, offset int64) int {
	offset = min(max(offset, 0), int64(len(data)))
	return 1 + bytes.Count(data[:offset], []byte("\n"))
}

// Save checks the profile and writes it into dir, whole or not at all.
func (p *Profile) Save(dir string) error {
	content, err := p.Encode()
	if err != nil {
		return err
	}
	if err := replace(dir, content); err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	return nil
}

// Encode checks the profile and gives the content of its file. What is wrong with it is an *Error.
func (p *Profile) Encode() ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	out := *p
	if out.Capabilities == nil {
		out.Capabilities = []string{} // none, and it is to be read there
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(&out); err != nil {
		return nil, fmt.Errorf("encode profile: %w", err)
	}
	return b.Bytes(), nil
}

// replace writes dir's profile under another name and renames it.
func replace(dir string, content []byte) error {
	f, err := os.CreateTemp(dir, "."+FileName+"-")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(0o644)
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, FileName))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
