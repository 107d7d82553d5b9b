package report

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/policy"
)

// Where readers of a log find more.
const (
	homePage    = "https://github.com/deckhand-engine/deckhand"
	rulePages   = homePage + "/blob/main/docs/rules/" // RULE.md
	sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

// sarif writes a log in the Static Analysis Results Interchange Format, version 2.1.0, with one run. Of documents
// that could not be checked the messages are kept, as the format has them behind the results.
type sarif struct {
	out           *output
	options       Options
	items         int
	begun         bool
	notifications []json.RawMessage
}

func newSARIF(out *output, o Options) *sarif { return &sarif{out: out, options: o} }

// Document writes the results of a document.
func (w *sarif) Document(doc *guard.Document) error {
	var b bytes.Buffer
	if err := w.begin(&b); err != nil {
		return err
	}
	s := newSource(doc)
	findings, ignored := w.options.Policy.Fingerprints(doc)
	for i, f := range doc.Findings {
		if err := w.item(&b, w.result(doc, s, f, findings[i])); err != nil {
			return err
		}
	}
	for i, f := range doc.Ignored {
		r := w.result(doc, s, f.Finding, ignored[i])
		r.Suppressions = []sarifSuppression{{Kind: "external", Status: "accepted", Justification: f.Reason}}
		if f.By == policy.ByComment {
			r.Suppressions[0].Kind = "inSource"
		}
		if err := w.item(&b, r); err != nil {
			return err
		}
	}
	if why := failure(doc); why != "" {
		if err := w.notify(doc, why); err != nil {
			return err
		}
	}
	return w.out.write(b.Bytes())
}

// Close writes what went wrong.
func (w *sarif) Close(sum Summary) error {
	var b bytes.Buffer
	if err := w.begin(&b); err != nil {
		return err
	}
	b.WriteString("\n],\n\"invocations\": [")
	invocation := sarifInvocation{ExecutionSuccessful: sum.Failed == 0, Notifications: w.notifications}
	if err := encode(&b, invocation); err != nil {
		return err
	}
	b.WriteString("]\n}\n]\n}\n")
	return w.out.write(b.Bytes())
}

// begin writes what comes before the results.
func (w *sarif) begin(b *bytes.Buffer) error {
	if w.begun {
		return nil
	}
	w.begun = true
	b.WriteString("{\n\"$schema\": \"" + sarifSchema + "\",\n\"version\": \"2.1.0\",\n\"runs\": [\n{\n\"tool\": ")
	if err := encode(b, sarifTool{w.driver()}); err != nil {
		return err
	}
	b.WriteString(",\n\"originalUriBaseIds\": ")
	root := map[string]sarifArtifact{sourceRoot: {Description: &sarifMessage{"The directory in which " + w.options.Tool + " was started."}}}
	if err := encode(b, root); err != nil {
		return err
	}
	b.WriteString(",\n\"columnKind\": \"utf16CodeUnits\",\n\"results\": [")
	return nil
}

func (w *sarif) item(b *bytes.Buffer, r sarifResult) error {
	b.WriteString(separator(w.items))
	w.items++
	return encode(b, r)
}

// notify keeps why a document could not be checked.
func (w *sarif) notify(doc *guard.Document, why string) error {
	text, err := json.Marshal(sarifNotification{
		Descriptor: sarifReference{ruleNotChecked}, Level: "error", Message: sarifMessage{doc.Path + ": " + why},
		Locations: []sarifLocation{{Physical: sarifPhysical{Artifact: artifact(doc, doc.Path)}}},
	})
	w.notifications = append(w.notifications, text)
	return err
}

// driver describes the program and its rules.
func (w *sarif) driver() sarifDriver {
	d := sarifDriver{Name: w.options.Tool, Version: w.options.Version, InformationURI: homePage, Rules: []sarifRule{}}
	for _, r := range w.options.Rules {
		page := w.options.Page(r.ID)
		full, help := r.Title, page
		if p := firstParagraph(page); p != "" {
			full = p
		}
		if help == "" {
			help = r.Title
		}
		level, severity := sarifLevel(r.Severity), securitySeverity(r.Severity)
		d.Rules = append(d.Rules, sarifRule{
			ID: r.ID, Name: r.Name, Short: sarifMessage{r.Title}, Full: sarifMessage{full},
			Help: sarifHelp{help, help}, HelpURI: w.options.Pages + r.ID + ".md",
			Configuration: sarifConfiguration{level},
			Properties: sarifRuleProperties{
				Tags: []string{"security", "containers", "least-privilege"}, Precision: "high", SecuritySeverity: severity,
			},
		})
	}
	return d
}

// firstParagraph is the first text of a page that is no heading, on one line.
func firstParagraph(page string) string {
	for paragraph := range strings.SplitSeq(page, "\n\n") {
		text := strings.TrimSpace(paragraph)
		for strings.HasPrefix(text, "#") { // a heading, and perhaps text directly below
			_, text, _ = strings.Cut(text, "\n")
			text = strings.TrimSpace(text)
		}
		if text != "" {
			return strings.Join(strings.Fields(text), " ")
		}
	}
	return ""
}

func sarifLevel(s guard.Severity) string {
	switch s {
	case guard.Error:
		return "error"
	case guard.Warning:
		return "warning"
	case guard.Info:
		return "note"
	default:
		return "none"
	}
}

// securitySeverity is where code scanning sorts a rule: over 7 is high, over 4 medium, below low.
func securitySeverity(s guard.Severity) string {
	switch s {
	case guard.Error:
		return "8.0"
	case guard.Warning:
		return "5.0"
	default:
		return "2.0"
	}
}

// result is a finding.
func (w *sarif) result(doc *guard.Document, s *source, f guard.Finding, fingerprint string) sarifResult {
	lines := []string{message(doc, f)}
	if f.Detail != "" {
		lines = append(lines, f.Detail)
	}
	if f.Hint != "" {
		lines = append(lines, "fix: "+f.Hint)
	}
	place := sarifLocation{Physical: sarifPhysical{artifact(doc, f.Where.Path), regionSARIF(s.region(f.Where))}}
	if f.Subject != "" {
		place.Logical = []sarifLogical{{f.Subject, doc.Path + "#" + f.Subject, "resource"}}
	}
	r := sarifResult{
		RuleID: f.Rule, Level: sarifLevel(f.Severity), Message: sarifMessage{strings.Join(lines, "\n")},
		Locations:    []sarifLocation{place},
		Fingerprints: map[string]string{"deckhand/v1": fingerprint},
	}
	for i, rule := range w.options.Rules {
		if rule.ID == f.Rule {
			r.RuleIndex = &i
		}
	}
	for _, fix := range f.Fixes {
		if replacements := s.replacements(fix); len(replacements) > 0 {
			changes := []sarifChange{{artifact(doc, doc.Path), replacements}}
			r.Fixes = append(r.Fixes, sarifFix{sarifMessage{fix.Title}, changes})
		}
	}
	return r
}

// replacements are the edits of a fix; nil where one of them is outside the text.
func (s *source) replacements(fix guard.Fix) []sarifReplacement {
	var all []sarifReplacement
	for _, e := range fix.Edits {
		at := e.At
		at.Path = s.path
		at.Column, at.EndLine = max(at.Column, 1), max(at.EndLine, at.Line)
		at.EndColumn = max(at.EndColumn, 1)
		if e.At.EndColumn == 0 {
			at.EndColumn = at.Column
		}
		if !s.has(at) || at.EndLine > len(s.at) {
			return nil
		}
		all = append(all, sarifReplacement{*regionSARIF(s.region(at)), sarifContent{e.Text}})
	}
	return slices.Clip(all)
}
