// Package report writes what was found, one document at a time: for people, editors and CI.
//
// Writers keep nothing of a document once it is written, so that memory does not grow with what is checked. What
// comes from a document is written so that it cannot drive a terminal or break out of the format.
package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/policy"
	"github.com/deckhand-engine/deckhand/guard/rules"
)

// The formats.
const (
	FormatText       = "text"
	FormatJSON       = "json"
	FormatSARIF      = "sarif"
	FormatJUnit      = "junit"
	FormatGitHub     = "github"
	FormatGitLab     = "gitlab"
	FormatCheckstyle = "checkstyle"
)

// Formats lists the formats, the default first.
func Formats() []string {
	return []string{FormatText, FormatJSON, FormatSARIF, FormatJUnit, FormatGitHub, FormatGitLab, FormatCheckstyle}
}

// Writer writes documents in the order they come and keeps none of them.
type Writer interface {
	Document(*guard.Document) error
	// Close writes what comes last. It does not close the underlying writer.
	Close(Summary) error
}

// Summary is what a check came to.
type Summary struct {
	Documents int `json:"documents"`
	Failed    int `json:"failed"` // documents that could not be checked
	Errors    int `json:"errors"`
	Warnings  int `json:"warnings"`
	Infos     int `json:"infos"`
	Ignored   int `json:"ignored"`
	Subjects  int `json:"subjects"` // things that run; each is one of the following
	Root      int `json:"root"`     // certainly start as root
	NotRoot   int `json:"notRoot"`  // certainly do not
	Unknown   int `json:"unknown"`
}

// Add counts a document.
func (s *Summary) Add(doc *guard.Document) {
	s.Documents++
	if doc.Err != nil {
		s.Failed++
	}
	for _, f := range doc.Findings {
		switch f.Severity {
		case guard.Error:
			s.Errors++
		case guard.Warning:
			s.Warnings++
		case guard.Info:
			s.Infos++
		default: // Off: it is no finding
		}
	}
	s.Ignored += len(doc.Ignored)
	s.Subjects += len(doc.Subjects)
	for _, subject := range doc.Subjects {
		switch verdict(subject.User) {
		case verdictRoot:
			s.Root++
		case verdictNotRoot:
			s.NotRoot++
		default:
			s.Unknown++
		}
	}
}

// The verdicts on a user.
const (
	verdictRoot    = "root"
	verdictNotRoot = "not root"
	verdictUnknown = "unknown"
)

func verdict(u guard.User) string {
	switch {
	case u.Root():
		return verdictRoot
	case u.NotRoot():
		return verdictNotRoot
	}
	return verdictUnknown
}

// Options are what formats may ask for. The zero value works.
type Options struct {
	Colour  bool                   // text: ANSI colours
	Width   int                    // text: columns; 0: 80
	Version string                 // of deckhand
	Page    func(id string) string // a rule's page, in Markdown; nil: there are none
	Policy  *policy.Policy         // for fingerprints, and what counts as a failure; nil: the default
	Rules   []rules.Rule           // nil: all
	Tool    string                 // sarif: what reports; empty: deckhand check
	Pages   string                 // sarif: the address below which rules have their pages; empty: that of docs/rules
}

// New makes a writer for one of the [Formats]. Each document is one write, so that w need not be buffered.
func New(format string, w io.Writer, o Options) (Writer, error) {
	if o.Width <= 0 {
		o.Width = 80
	}
	if o.Page == nil {
		o.Page = func(string) string { return "" }
	}
	if o.Policy == nil {
		o.Policy = &policy.Policy{}
	}
	if o.Rules == nil {
		o.Rules = rules.All()
	}
	o.Tool, o.Pages = cmp.Or(o.Tool, "deckhand check"), cmp.Or(o.Pages, rulePages)
	out := &output{w: w}
	switch format {
	case FormatText:
		return newText(out, o), nil
	case FormatJSON:
		return newJSON(out, o), nil
	case FormatSARIF:
		return newSARIF(out, o), nil
	case FormatJUnit:
		return newJUnit(out, o), nil
	case FormatGitHub:
		return newGitHub(out, o), nil
	case FormatGitLab:
		return newGitLab(out, o), nil
	case FormatCheckstyle:
		return newCheckstyle(out, o), nil
	}
	return nil, fmt.Errorf("%q is no format: %s", format, strings.Join(Formats(), ", "))
}

// output writes, and after an error nothing more.
type output struct {
	w   io.Writer
	err error
}

func (o *output) write(b []byte) error {
	if o.err == nil {
		_, o.err = o.w.Write(b)
	}
	return o.err
}

// failure is why a document could not be checked, unless a finding says so; empty: it could.
func failure(doc *guard.Document) string {
	if doc.Err == nil || slices.ContainsFunc(doc.Findings, func(f guard.Finding) bool { return f.Rule == ruleNotChecked }) {
		return ""
	}
	return doc.Err.Error()
}

// message is what a finding says; where the document has several subjects, with the one that is meant.
func message(doc *guard.Document, f guard.Finding) string {
	if len(doc.Subjects) > 1 && f.Subject != "" && !strings.Contains(f.Message, f.Subject) {
		return f.Subject + ": " + f.Message
	}
	return f.Message
}

// ruleNotChecked is the rule of documents that could not be checked.
const ruleNotChecked = "DH000"

// nameOf is a rule's name, or its id where it is not known.
func nameOf(all []rules.Rule, id string) string {
	if i := slices.IndexFunc(all, func(r rules.Rule) bool { return r.ID == id }); i >= 0 {
		return all[i].Name
	}
	return strings.ToLower(id)
}
