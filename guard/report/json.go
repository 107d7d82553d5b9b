package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/deckhand-engine/deckhand/guard"
)

// jsonVersion is that of docs/check-json.md. It changes when a field changes its meaning or goes.
const jsonVersion = 1

// jsonWriter writes one object, a document at a time.
type jsonWriter struct {
	out     *output
	options Options
	items   int // documents written
	begun   bool
}

func newJSON(out *output, o Options) *jsonWriter { return &jsonWriter{out: out, options: o} }

type jsonDocument struct {
	Path     string        `json:"path"`
	Kind     guard.Kind    `json:"kind,omitempty"`
	Subjects []jsonSubject `json:"subjects"`
	Findings []jsonFinding `json:"findings"`
	Ignored  []jsonIgnored `json:"ignored"`
	Error    *jsonError    `json:"error,omitempty"`
}

type jsonError struct {
	Message string `json:"message"`
	Line    int    `json:"line,omitempty"`
}

type jsonSubject struct {
	Name     string          `json:"name"`
	Kind     guard.Kind      `json:"kind"`
	Location *guard.Location `json:"location,omitempty"`
	User     jsonUser        `json:"user"`
	Drop     *jsonDrop       `json:"drop,omitempty"`
	Image    string          `json:"image,omitempty"`
	Build    string          `json:"build,omitempty"`
	Command  []string        `json:"command,omitempty"`
	Grants   []jsonGrant     `json:"grants,omitempty"`
}

type jsonUser struct {
	Verdict   string          `json:"verdict"`
	Spec      string          `json:"spec"`
	Raw       string          `json:"raw,omitempty"`
	UID       guard.ID        `json:"uid"`
	GID       guard.ID        `json:"gid"`
	Name      string          `json:"name,omitempty"`
	From      string          `json:"from,omitempty"`
	Inherited bool            `json:"inherited,omitempty"`
	Unknown   string          `json:"unknown,omitempty"`
	Missing   string          `json:"missing,omitempty"`
	Location  *guard.Location `json:"location,omitempty"`
}

type jsonDrop struct {
	By       string          `json:"by"`
	Spec     string          `json:"spec"`
	UID      guard.ID        `json:"uid"`
	Script   string          `json:"script,omitempty"`
	Certain  bool            `json:"certain"`
	Location *guard.Location `json:"location,omitempty"`
}

type jsonGrant struct {
	Kind     guard.GrantKind `json:"kind"`
	Value    string          `json:"value"`
	Location *guard.Location `json:"location,omitempty"`
}

type jsonFinding struct {
	guard.Finding
	Name        string `json:"name"`
	Fingerprint string `json:"fingerprint"`
}

type jsonIgnored struct {
	jsonFinding
	Reason string `json:"reason"`
	By     string `json:"by"`
}

// Document writes a document as an element of "documents".
func (j *jsonWriter) Document(doc *guard.Document) error {
	var b bytes.Buffer
	j.begin(&b)
	b.WriteString(separator(j.items))
	j.items++
	if err := encode(&b, j.document(doc)); err != nil {
		return err
	}
	return j.out.write(b.Bytes())
}

// Close writes the summary.
func (j *jsonWriter) Close(sum Summary) error {
	var b bytes.Buffer
	j.begin(&b)
	b.WriteString("\n],\n\"summary\": ")
	if err := encode(&b, sum); err != nil {
		return err
	}
	b.WriteString("\n}\n")
	return j.out.write(b.Bytes())
}

func (j *jsonWriter) begin(b *bytes.Buffer) {
	if j.begun {
		return
	}
	j.begun = true
	b.WriteString("{\n\"version\": " + strconv.Itoa(jsonVersion) + ",\n\"deckhand\": ")
	_ = encode(b, j.options.Version) // a string
	b.WriteString(",\n\"documents\": [")
}

func (j *jsonWriter) document(doc *guard.Document) jsonDocument {
	findings, ignored := j.options.Policy.Fingerprints(doc)
	d := jsonDocument{
		Path: doc.Path, Kind: doc.Kind,
		Subjects: make([]jsonSubject, 0, len(doc.Subjects)),
		Findings: make([]jsonFinding, 0, len(doc.Findings)),
		Ignored:  make([]jsonIgnored, 0, len(doc.Ignored)),
	}
	for _, s := range doc.Subjects {
		d.Subjects = append(d.Subjects, subjectJSON(s))
	}
	for i, f := range doc.Findings {
		d.Findings = append(d.Findings, jsonFinding{f, nameOf(j.options.Rules, f.Rule), findings[i]})
	}
	for i, f := range doc.Ignored {
		d.Ignored = append(d.Ignored, jsonIgnored{
			jsonFinding{f.Finding, nameOf(j.options.Rules, f.Rule), ignored[i]}, f.Reason, f.By,
		})
	}
	if doc.Err != nil {
		d.Error = &jsonError{Message: doc.Err.Error()}
		if syntax, ok := errors.AsType[*guard.SyntaxError](doc.Err); ok {
			d.Error.Line = syntax.Line
		}
	}
	return d
}

func subjectJSON(s *guard.Subject) jsonSubject {
	u := s.User
	j := jsonSubject{
		Name: s.Name, Kind: s.Kind, Location: location(s.Where), Image: s.Image, Build: s.Build, Command: s.Command.Args,
		User: jsonUser{
			Verdict: verdict(u), Spec: u.Spec, Raw: u.Raw, UID: u.UID, GID: u.GID, Name: u.Name, From: u.From,
			Inherited: u.Inherited, Unknown: u.Unknown, Missing: u.Missing, Location: location(u.Where),
		},
	}
	if d := s.Drop; d != nil {
		j.Drop = &jsonDrop{d.By, d.Spec, d.To, d.Script, d.Certain, location(d.Where)}
	}
	for _, g := range s.Grants {
		j.Grants = append(j.Grants, jsonGrant{g.Kind, g.Value, location(g.Where)})
	}
	return j
}

// location is nil where there is none.
func location(l guard.Location) *guard.Location {
	if l == (guard.Location{}) {
		return nil
	}
	return &l
}

// separator comes before the nth element of an array.
func separator(n int) string {
	if n == 0 {
		return "\n"
	}
	return ",\n"
}

// encode writes a value on one line, without its end, with <, > and & as they are.
func encode(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1)
	return nil
}
