package report

import (
	"bytes"
	"path/filepath"

	"github.com/deckhand-engine/deckhand/guard"
)

// gitLab writes GitLab's Code Quality report: an array of issues.
type gitLab struct {
	out     *output
	options Options
	items   int
}

func newGitLab(out *output, o Options) *gitLab { return &gitLab{out: out, options: o} }

type gitLabIssue struct {
	Description string         `json:"description"`
	CheckName   string         `json:"check_name"`
	Fingerprint string         `json:"fingerprint"`
	Severity    string         `json:"severity"` // info, minor, major, critical, blocker
	Location    gitLabLocation `json:"location"`
}

type gitLabLocation struct {
	Path  string      `json:"path"` // relative to the repository, without ./
	Lines gitLabLines `json:"lines"`
}

type gitLabLines struct {
	Begin int `json:"begin"`
	End   int `json:"end,omitempty"`
}

// Document writes an issue a finding.
func (g *gitLab) Document(doc *guard.Document) error {
	var b bytes.Buffer
	s := newSource(doc)
	fingerprints, _ := g.options.Policy.Fingerprints(doc)
	for i, f := range doc.Findings {
		r := s.region(f.Where)
		issue := gitLabIssue{
			message(doc, f), f.Rule + " " + nameOf(g.options.Rules, f.Rule), fingerprints[i], gitLabSeverity(f.Severity),
			gitLabLocation{cleanPath(doc, f.Where.Path), gitLabLines{r.startLine, r.endLine}},
		}
		if f.Detail != "" {
			issue.Description += ": " + f.Detail
		}
		if err := g.issue(&b, issue); err != nil {
			return err
		}
	}
	if why := failure(doc); why != "" {
		err := g.issue(&b, gitLabIssue{
			"not checked: " + why, ruleNotChecked, g.options.Policy.FailureFingerprint(doc), gitLabSeverity(guard.Error),
			gitLabLocation{cleanPath(doc, doc.Path), gitLabLines{Begin: 1}},
		})
		if err != nil {
			return err
		}
	}
	if b.Len() == 0 {
		return g.out.err
	}
	return g.out.write(b.Bytes())
}

// Close ends the array.
func (g *gitLab) Close(Summary) error {
	if g.items == 0 {
		return g.out.write([]byte("[]\n"))
	}
	return g.out.write([]byte("\n]\n"))
}

func (g *gitLab) issue(b *bytes.Buffer, issue gitLabIssue) error {
	if g.items == 0 {
		b.WriteString("[")
	}
	b.WriteString(separator(g.items))
	g.items++
	return encode(b, issue)
}

func gitLabSeverity(s guard.Severity) string {
	switch s {
	case guard.Error:
		return "critical"
	case guard.Warning:
		return "major"
	default:
		return "info"
	}
}

// cleanPath is a path without ./ before it; the names of images stay as they are.
func cleanPath(doc *guard.Document, path string) string {
	if !isFile(doc) {
		return path
	}
	return filepath.ToSlash(filepath.Clean(path))
}

// isFile reports whether a document's path is a file's.
func isFile(doc *guard.Document) bool {
	return doc.Path != "-" && doc.Kind != guard.KindImage && doc.Kind != guard.KindContainer
}
