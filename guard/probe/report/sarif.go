package report

import (
	"errors"
	"io"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/probe"
	findings "github.com/deckhand-engine/deckhand/guard/report"
	"github.com/deckhand-engine/deckhand/guard/rules"
)

// writeSARIF writes a log of findings: each probe is a rule, each column a document of the image, and what is
// allowed in it a finding.
func writeSARIF(w io.Writer, r *Report, o Options) error {
	log, err := findings.New(findings.FormatSARIF, w, findings.Options{
		Version: o.Version, Page: o.Page, Rules: asRules(), Tool: "deckhand probe", Pages: pages,
	})
	if err != nil {
		return err
	}
	var sum findings.Summary
	for i := range r.Columns {
		doc := document(r.Image, &r.Columns[i])
		sum.Add(doc)
		if err := log.Document(doc); err != nil {
			return err
		}
	}
	return log.Close(sum)
}

// asRules are the probes as rules.
func asRules() []rules.Rule {
	var all []rules.Rule
	for _, p := range probe.Probes() {
		all = append(all, rules.Rule{ID: p.Name, Name: p.Name, Title: "An attacker could " + p.Title, Severity: severity(p.Severity)})
	}
	return all
}

func severity(s probe.Severity) guard.Severity {
	switch s {
	case probe.High:
		return guard.Error
	case probe.Medium:
		return guard.Warning
	default:
		return guard.Info
	}
}

// document is a column's.
func document(image string, c *Column) *guard.Document {
	doc := &guard.Document{Path: image, Kind: guard.KindImage}
	for _, p := range probe.Probes() {
		if verdict(c.Of(p.Name)) != probe.Allowed {
			continue
		}
		doc.Findings = append(doc.Findings, guard.Finding{
			Rule: p.Name, Severity: severity(p.Severity), Subject: c.Title, Where: guard.Location{Path: image},
			Message: c.Title + ": an attacker could " + p.Title,
			Detail:  p.Meaning + " What decides: " + p.Decides + ".",
		})
	}
	if all := c.failures(); len(all) > 0 {
		var why []string
		for _, f := range all {
			why = append(why, f.Probe+": "+f.Why)
		}
		doc.Err = errors.New(c.Title + ": not tried: " + strings.Join(why, "; "))
	}
	return doc
}
