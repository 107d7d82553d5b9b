// Package rules holds the rules: one file each, and a page each in docs/rules. A rule reads a subject and reports
// findings; it knows nothing of the document's format.
package rules

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/deckhand-engine/deckhand/guard"
)

// Rule is one rule.
type Rule struct {
	ID       string         // "DH001"
	Name     string         // "no-user"
	Title    string         // "No USER: root because nobody said otherwise"
	Severity guard.Severity // unless the policy or the finding itself says otherwise
	// Check reports the findings of a subject. Rule and Subject of a finding are filled in by [Check]; so is a
	// severity that is left out, and a place. It is nil where no subject is asked: DH000, DH030.
	Check func(*guard.Subject, guard.Settings) []guard.Finding
}

// table is made when it is first asked for.
var table = sync.OnceValue(func() []Rule {
	return []Rule{
		notChecked(),
		noUser(), rootUID(), rootName(), rootAlias(), rootGroup(),
		reservedUID(), namedUser(), missingUser(), rootAtStart(), sudo(),
		setuidFiles(), engineSocket(), privileged(), addedCapability(), hostNamespace(),
		privilegeEscalation(), unconfined(), writableCode(), secret(), packageManager(),
		attackTools(), privilegedPort(), rootByNature(), podSecurityBaseline(), podSecurityRestricted(),
		userUnknown(), willNotStart(), hostPath(), hostDevice(), ignoreUnused(),
	}
})

// All lists the rules in the order of their ids.
func All() []Rule { return slices.Clone(table()) }

// ByID finds a rule by id or name, in any case.
func ByID(id string) (Rule, bool) {
	for _, r := range table() {
		if strings.EqualFold(r.ID, id) || strings.EqualFold(r.Name, id) {
			return r, true
		}
	}
	return Rule{}, false
}

// Check asks every rule about a subject. The findings are ordered by place, then by rule.
func Check(s *guard.Subject, settings guard.Settings) []guard.Finding {
	var all []guard.Finding
	for _, r := range table() {
		if r.Check == nil {
			continue
		}
		for _, f := range r.Check(s, settings) {
			f.Rule, f.Subject, f.Severity = r.ID, s.Name, cmp.Or(f.Severity, r.Severity)
			if f.Where == (guard.Location{}) {
				f.Where = s.Where
			}
			all = append(all, f)
		}
	}
	slices.SortStableFunc(all, guard.CompareFindings)
	return all
}

// notChecked is what guard/check reports of a document that cannot be read.
func notChecked() Rule {
	return Rule{
		ID: "DH000", Name: "not-checked", Severity: guard.Error,
		Title: "The document could not be read, so nothing in it was checked",
	}
}
