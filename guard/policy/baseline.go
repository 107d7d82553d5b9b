package policy

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"

	"github.com/deckhand-engine/deckhand/guard"
)

// baselineVersion is the format's. It changes with what goes into a fingerprint.
const baselineVersion = 1

// maxBaselineBytes bounds a baseline: it is a quarter of a million findings.
const maxBaselineBytes = 64 << 20

// Baseline are findings that were there before: they are ignored until somebody removes them.
type Baseline struct {
	entries map[string]Entry
}

// Entry is a finding of a baseline. Only its fingerprint counts; the rest is for whoever reviews the file.
type Entry struct {
	Fingerprint string `json:"fingerprint"`
	Rule        string `json:"rule"`
	Path        string `json:"path"`
	Message     string `json:"message"`
}

// baselineFile is a baseline's JSON.
type baselineFile struct {
	Version  int     `json:"version"`
	Findings []Entry `json:"findings"`
}

// ReadBaseline reads a file that [Baseline.Encode] wrote.
func ReadBaseline(file string) (*Baseline, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe that nobody writes to must not stop us
	if err != nil {
		return nil, fmt.Errorf("read baseline: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, maxBaselineBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read baseline: %w", err)
	case len(data) > maxBaselineBytes:
		return nil, fmt.Errorf("read baseline %s: it has more than %d MiB", file, maxBaselineBytes>>20)
	}
	return parseBaseline(file, data)
}

func parseBaseline(name string, data []byte) (*Baseline, error) {
	var content baselineFile
	if err := json.Unmarshal(data, &content); err != nil {
		return nil, fmt.Errorf("%s:%d: %w; write it anew with --write-baseline", name, errorLine(data, err), err)
	}
	if content.Version != baselineVersion {
		return nil, fmt.Errorf("%s: version %d of baselines is not known, only %d; write it anew with --write-baseline",
			name, content.Version, baselineVersion)
	}
	b := &Baseline{entries: make(map[string]Entry, len(content.Findings))}
	for i, e := range content.Findings {
		if e.Fingerprint == "" {
			return nil, fmt.Errorf("%s: finding %d has no fingerprint; write it anew with --write-baseline", name, i+1)
		}
		b.entries[e.Fingerprint] = e
	}
	return b, nil
}

// errorLine is the line at which JSON is wrong.
func errorLine(data []byte, err error) int {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	at := int64(0)
	switch {
	case errors.As(err, &syntax):
		at = syntax.Offset
	case errors.As(err, &kind):
		at = kind.Offset
	}
	return 1 + bytes.Count(data[:min(int(at), len(data))], []byte("\n"))
}

// Has reports whether the baseline has a finding of that fingerprint.
func (b *Baseline) Has(fingerprint string) bool {
	if b == nil {
		return false
	}
	_, ok := b.entries[fingerprint]
	return ok
}

// Len is the number of findings.
func (b *Baseline) Len() int { return len(b.entries) }

// Add adds what a judged document has: its findings, and those that the policy's baseline waived. It is for one
// goroutine.
func (b *Baseline) Add(p *Policy, doc *guard.Document) {
	if b.entries == nil {
		b.entries = map[string]Entry{}
	}
	if p == nil {
		p = &Policy{}
	}
	findings, ignored := p.Fingerprints(doc)
	path := p.Relative(doc)
	for i, f := range doc.Findings {
		b.entries[findings[i]] = Entry{findings[i], f.Rule, path, f.Message}
	}
	for i, f := range doc.Ignored {
		if f.By == ByBaseline {
			b.entries[ignored[i]] = Entry{ignored[i], f.Rule, path, f.Message}
		}
	}
}

// Encode writes the baseline: one line a finding, in the order of their paths, so that it can be reviewed.
func (b *Baseline) Encode(out io.Writer) error {
	entries := make([]Entry, 0, len(b.entries))
	for _, e := range b.entries {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(x, y Entry) int {
		return cmp.Or(cmp.Compare(x.Path, y.Path), cmp.Compare(x.Rule, y.Rule),
			cmp.Compare(x.Message, y.Message), cmp.Compare(x.Fingerprint, y.Fingerprint))
	})
	w := bufio.NewWriter(out)
	_, _ = fmt.Fprintf(w, "{\n  \"version\": %d,\n  \"findings\": [", baselineVersion) // Flush returns the error
	for i, e := range entries {
		line, err := encodeEntry(e)
		if err != nil {
			return err
		}
		separator := ",\n    "
		if i == 0 {
			separator = "\n    "
		}
		_, _ = w.WriteString(separator + line) // likewise
	}
	end := "\n  ]\n}\n"
	if len(entries) == 0 {
		end = "]\n}\n"
	}
	_, _ = w.WriteString(end) // likewise
	return w.Flush()
}

// encodeEntry is an entry as JSON on one line, with <, > and & as they are.
func encodeEntry(e Entry) (string, error) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return "", fmt.Errorf("write baseline: %w", err)
	}
	return string(bytes.TrimSpace(line.Bytes())), nil
}

// compare takes out what the baseline has.
func (p *Policy) compare(doc *guard.Document) {
	if p.Baseline == nil {
		return
	}
	fingerprints, _ := p.Fingerprints(doc)
	kept := make([]guard.Finding, 0, len(doc.Findings))
	var known []guard.Ignored
	for i, f := range doc.Findings {
		if p.Baseline.Has(fingerprints[i]) {
			known = append(known, guard.Ignored{Finding: f, Reason: "it was there when the baseline was written", By: ByBaseline})
		} else {
			kept = append(kept, f)
		}
	}
	doc.Findings = kept
	doc.Ignored = append(doc.Ignored, known...)
}
