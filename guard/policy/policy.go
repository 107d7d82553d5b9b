// Package policy is deckhand.yaml, the comments that waive a finding, and the baseline of findings that were there
// before.
//
// Whatever is waived stays visible: it moves to the document's Ignored with the reason that was given. An ignore
// without a reason does not hold.
package policy

import (
	"bytes"
	"cmp"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/rules"
)

// Never is the FailOn of a policy under which no finding makes a check fail.
const Never = guard.Error + 1

// The rules that the policy itself has to do with.
const (
	ruleNotChecked = "DH000" // a document that could not be checked
	ruleBaseline   = "DH024" // Pod Security, level baseline
	ruleRestricted = "DH025" // Pod Security, level restricted
	ruleIgnore     = "DH030" // an ignore that does not hold
)

// Who waived a finding: the values of [guard.Ignored.By].
const (
	ByComment  = "comment"
	ByPolicy   = "policy"
	ByBaseline = "baseline"
)

// Policy says what counts. Its zero value is the default. It is not changed by use, so that several goroutines may
// share it.
type Policy struct {
	Path     string         // where it was read; empty: the default
	Dir      string         // absolute; paths are relative to it. Empty: the working directory
	Settings guard.Settings // for the rules
	FailOn   guard.Severity // the least severity that makes a check fail, or Never; Off: warning
	// PodSecurity is the highest of Kubernetes' levels that is asked for: "privileged", "baseline" or "restricted".
	// Empty: restricted.
	PodSecurity string
	// BaselineFile is the file that the policy names, as an absolute path; empty: none. Reading it is left to
	// the caller, who may know a newer one or be about to write it, and who sets Baseline.
	BaselineFile string
	Baseline     *Baseline // findings that were there before; nil: none

	severities map[string]guard.Severity // by rule id
	ignores    []ignore
	exclude    []pattern
	rules      []rules.Rule // nil: all
	now        func() time.Time
}

// ignore is an entry of check.ignore.
type ignore struct {
	line     int      // in the policy file
	rules    []string // ids; empty: all
	paths    []pattern
	subjects []string
	reason   string
	until    time.Time // the last day on which it holds; zero: for ever
}

// Judge applies the policy to a document that was checked: severities, comments, waived paths, baseline. Waived
// findings move to Ignored; comments that waive nothing become findings themselves. It may be called by several
// goroutines for different documents, once for each.
func (p *Policy) Judge(doc *guard.Document) {
	slices.SortStableFunc(doc.Findings, guard.CompareFindings)
	comments := p.comments(doc)
	if p.plain() && len(comments) == 0 {
		return
	}
	kept := make([]guard.Finding, 0, len(doc.Findings))
	for _, f := range doc.Findings {
		c := waiver(comments, f)
		switch {
		case !p.asked(&f):
		case c != nil:
			doc.Ignored = append(doc.Ignored, guard.Ignored{Finding: f, Reason: c.reason, By: ByComment})
		default:
			kept = append(kept, f)
		}
	}
	for _, f := range remarks(doc, comments) {
		if p.asked(&f) {
			kept = append(kept, f)
		}
	}
	doc.Findings = p.waive(doc, kept)
	p.compare(doc)
	slices.SortStableFunc(doc.Findings, guard.CompareFindings)
	slices.SortStableFunc(doc.Ignored, func(a, b guard.Ignored) int { return guard.CompareFindings(a.Finding, b.Finding) })
}

// plain reports whether the policy leaves every finding as it is.
func (p *Policy) plain() bool {
	return len(p.severities) == 0 && len(p.ignores) == 0 && p.Baseline == nil &&
		(p.PodSecurity == "" || p.PodSecurity == restricted)
}

// asked sets the severity that the policy wants, and reports whether it wants the finding at all.
func (p *Policy) asked(f *guard.Finding) bool {
	switch {
	case f.Rule == ruleRestricted && p.PodSecurity != "" && p.PodSecurity != restricted,
		f.Rule == ruleBaseline && p.PodSecurity == privileged:
		return false
	}
	if s, ok := p.severities[f.Rule]; ok {
		f.Severity = s
	}
	return f.Severity != guard.Off
}

// waive takes out the findings that an entry of the policy waives. One whose time is over says so.
func (p *Policy) waive(doc *guard.Document, findings []guard.Finding) []guard.Finding {
	if len(p.ignores) == 0 {
		return findings
	}
	path := p.Relative(doc)
	kept := findings[:0]
	for _, f := range findings {
		var held, over *ignore
		for i := range p.ignores {
			switch e := &p.ignores[i]; {
			case !e.matches(path, f):
			case p.over(e):
				over = cmp.Or(over, e)
			default:
				held = cmp.Or(held, e)
			}
		}
		if held != nil {
			doc.Ignored = append(doc.Ignored, guard.Ignored{Finding: f, Reason: held.reason, By: ByPolicy})
			continue
		}
		if over != nil {
			f.Detail = strings.TrimPrefix(f.Detail+"; ", "; ") + p.ended(over)
		}
		kept = append(kept, f)
	}
	return kept
}

// ended says until when an entry held.
func (p *Policy) ended(e *ignore) string {
	return "it was ignored until " + e.until.Format(time.DateOnly) + ": " + e.reason
}

// matches reports whether the entry is about the finding of a document.
func (e *ignore) matches(path string, f guard.Finding) bool {
	return (len(e.rules) == 0 || slices.Contains(e.rules, f.Rule)) &&
		(len(e.paths) == 0 || slices.ContainsFunc(e.paths, func(g pattern) bool { return g.match(path) })) &&
		(len(e.subjects) == 0 || slices.ContainsFunc(e.subjects, func(s string) bool { return wildcard(s, f.Subject) }))
}

// over reports whether the entry's last day has passed, where the clock is.
func (p *Policy) over(e *ignore) bool {
	if e.until.IsZero() || p.now == nil {
		return false
	}
	now := p.now()
	y, m, d := e.until.Date()
	return !now.Before(time.Date(y, m, d+1, 0, 0, 0, 0, now.Location()))
}

// Excluded reports whether the policy leaves a file or directory out, named as the user would type it.
func (p *Policy) Excluded(path string) bool {
	if len(p.exclude) == 0 {
		return false
	}
	rel := p.relative(path)
	return slices.ContainsFunc(p.exclude, func(g pattern) bool { return g.match(rel) })
}

// Threshold is the least severity that makes a check fail, or Never.
func (p *Policy) Threshold() guard.Severity { return cmp.Or(p.FailOn, guard.Warning) }

// Fails reports whether so many findings make a check fail.
func (p *Policy) Fails(errors, warnings, infos int) bool {
	switch p.Threshold() {
	case guard.Info:
		return errors+warnings+infos > 0
	case guard.Warning:
		return errors+warnings > 0
	case guard.Error:
		return errors > 0
	default:
		return false
	}
}

// Relative is the document's path relative to the policy, with slashes: what its patterns, fingerprints and the
// baseline go by. Images and standard input keep their names.
func (p *Policy) Relative(doc *guard.Document) string {
	if doc.Path == "-" || doc.Kind == guard.KindImage || doc.Kind == guard.KindContainer {
		return doc.Path
	}
	return p.relative(doc.Path)
}

func (p *Policy) relative(path string) string {
	clean := filepath.Clean(path)
	if p.Dir == "" && !filepath.IsAbs(clean) {
		return filepath.ToSlash(clean)
	}
	abs, err := filepath.Abs(clean)
	if err != nil {
		return filepath.ToSlash(clean)
	}
	dir, err := filepath.Abs(p.Dir)
	if err != nil {
		return filepath.ToSlash(clean)
	}
	rel, err := filepath.Rel(dir, abs)
	if err != nil {
		return filepath.ToSlash(clean)
	}
	return filepath.ToSlash(rel)
}

// all are the rules that may be named.
func (p *Policy) all() []rules.Rule {
	if p.rules != nil {
		return p.rules
	}
	return rules.All()
}

// marker is in every document that has a comment for us.
const marker = "deckhand:ignore"

// comments reads the ignores in a document's comments.
func (p *Policy) comments(doc *guard.Document) []*comment {
	if !bytes.Contains(doc.Source, []byte(marker)) {
		return nil
	}
	return scan(doc, p.all())
}
