package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// Fingerprints identify the findings and the ignored findings of a document that was judged: rule, path, subject and
// the text of the line, with white space evened out; and a counter where these are the same. There is no line number
// in it, so that it survives edits elsewhere in the file.
func (p *Policy) Fingerprints(doc *guard.Document) (findings, ignored []string) {
	if p == nil {
		p = &Policy{}
	}
	type entry struct {
		finding guard.Finding
		to      *string
	}
	findings, ignored = make([]string, len(doc.Findings)), make([]string, len(doc.Ignored))
	entries := make([]entry, 0, len(findings)+len(ignored))
	for i, f := range doc.Findings {
		entries = append(entries, entry{f, &findings[i]})
	}
	for i, f := range doc.Ignored {
		entries = append(entries, entry{f.Finding, &ignored[i]})
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return guard.CompareFindings(a.finding, b.finding) })
	path, seen := p.Relative(doc), map[string]int{}
	at := newLines(doc.Source)
	for _, e := range entries {
		key := identity(path, e.finding, textOf(doc, at, e.finding))
		*e.to = fingerprint(key, seen[key])
		seen[key]++
	}
	return findings, ignored
}

// Fingerprint identifies one finding of a judged document, as Fingerprints does all. It is empty for a finding that
// the document does not have.
func (p *Policy) Fingerprint(doc *guard.Document, f guard.Finding) string {
	findings, ignored := p.Fingerprints(doc)
	same := func(g guard.Finding) bool {
		return guard.CompareFindings(f, g) == 0 && f.Subject == g.Subject && f.Where == g.Where
	}
	if i := slices.IndexFunc(doc.Findings, same); i >= 0 {
		return findings[i]
	}
	if i := slices.IndexFunc(doc.Ignored, func(g guard.Ignored) bool { return same(g.Finding) }); i >= 0 {
		return ignored[i]
	}
	return ""
}

// FailureFingerprint identifies that a document could not be checked.
func (p *Policy) FailureFingerprint(doc *guard.Document) string {
	if p == nil {
		p = &Policy{}
	}
	return fingerprint(identity(p.Relative(doc), guard.Finding{Rule: ruleNotChecked}, ""), 0)
}

// identity joins what does not change as long as a finding is the same.
func identity(path string, f guard.Finding, text string) string {
	return strings.Join([]string{f.Rule, path, f.Subject, text}, "\x00")
}

// fingerprint is a hash of 128 bits; the nth finding of the same identity counts from 0.
func fingerprint(key string, n int) string {
	sum := sha256.Sum256([]byte("deckhand 1\x00" + key + "\x00" + strconv.Itoa(n)))
	return hex.EncodeToString(sum[:16])
}

// textOf is the line of a finding, white space evened out; where there is none, as of an image, what it says.
func textOf(doc *guard.Document, at lines, f guard.Finding) string {
	if f.Where.Path != doc.Path || f.Where.Line < 1 || f.Where.Line > len(at) {
		return f.Message
	}
	return strings.Join(strings.Fields(string(at.line(doc.Source, f.Where.Line))), " ")
}

// lines are the offsets at which a text's lines begin.
type lines []int

func newLines(source []byte) lines {
	if len(source) == 0 {
		return nil
	}
	at := lines{0}
	for i := 0; ; {
		n := bytes.IndexByte(source[i:], '\n')
		if n < 0 {
			return at
		}
		i += n + 1
		at = append(at, i)
	}
}

// line is a line without its end. It exists.
func (l lines) line(source []byte, n int) []byte {
	rest := source[l[n-1]:]
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

// lineOf is a line of a text; empty where there is none.
func lineOf(source []byte, n int) []byte {
	start, ok := guard.Offset(source, n, 1)
	if !ok {
		return nil
	}
	rest := source[start:]
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	return rest
}
