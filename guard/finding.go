package guard

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// Severity is how bad a finding is.
type Severity int

// The severities, in ascending order. Off is a rule that is not asked.
const (
	Off Severity = iota
	Info
	Warning
	Error
)

// severityNames are in the order of the constants.
func severityNames() []string { return []string{"off", "info", "warning", "error"} }

// String is off, info, warning or error.
func (s Severity) String() string {
	if names := severityNames(); s >= 0 && int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("severity %d", int(s))
}

// ParseSeverity reads a severity's name.
func ParseSeverity(name string) (Severity, error) {
	for i, n := range severityNames() {
		if n == name {
			return Severity(i), nil
		}
	}
	return Off, errors.New(name + " is no severity: " + strings.Join(severityNames(), ", "))
}

// MarshalText writes the name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the name.
func (s *Severity) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSeverity(string(text))
	return err
}

// Finding is one place where a rule is broken.
type Finding struct {
	Rule     string   `json:"rule"` // "DH001"
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`           // one sentence without a full stop: what is wrong, with its values
	Detail   string   `json:"detail,omitempty"`  // why that is so, where it is not evident
	Subject  string   `json:"subject,omitempty"` // the subject's name
	Where    Location `json:"location"`
	Fixes    []Fix    `json:"fixes,omitempty"` // the best first
	Hint     string   `json:"hint,omitempty"`  // what to do where no edit can be proposed: "proven by: deckhand harden ."
}

// Fix is a change of the document that removes a finding.
type Fix struct {
	Title string `json:"title"` // "write the uid instead of the name: USER 1000"
	Edits []Edit `json:"edits"`
	// Safe says that the change cannot break what works: --fix applies it. The others want a proof, by
	// deckhand harden or by hand.
	Safe bool `json:"safe"`
}

// Edit replaces a part of the document. At has columns; where its end is its start, Text is inserted.
type Edit struct {
	At   Location `json:"at"`
	Text string   `json:"text"`
}

// Ignored is a finding that somebody waived.
type Ignored struct {
	Finding
	Reason string `json:"reason"`
	By     string `json:"by"` // "comment", "policy", "baseline"
}

// CompareFindings orders by place, then by rule.
func CompareFindings(a, b Finding) int {
	return cmp.Or(
		cmp.Compare(a.Where.Path, b.Where.Path), cmp.Compare(a.Where.Line, b.Where.Line),
		cmp.Compare(a.Where.Column, b.Where.Column), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message),
	)
}

// Settings are what rules ask the policy for.
type Settings struct {
	LeastUID uint32 // uids below are reserved for the system; 0: 500
}

// defaultLeastUID is where Debian's and Red Hat's ranges for the system's static and dynamic users are left behind.
const defaultLeastUID = 500

// LeastUser is the least uid that is not reserved.
func (s Settings) LeastUser() uint32 { return cmp.Or(s.LeastUID, defaultLeastUID) }
