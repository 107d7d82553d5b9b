package probe

import "strings"

// Tally is what a column came to. High, Medium and Low are the allowed ones.
type Tally struct {
	Probes  int `json:"probes"`
	Allowed int `json:"allowed"`
	High    int `json:"high"`
	Medium  int `json:"medium"`
	Low     int `json:"low"`
	Denied  int `json:"denied"`
	Absent  int `json:"absent"`
	Failed  int `json:"failed"`
}

// Of is the column's result of a probe. A probe that it lacks has failed.
func (c *Column) Of(name string) Result {
	for _, r := range c.Results {
		if r.Probe == name {
			return r
		}
	}
	return Result{Probe: name, Verdict: Failed, Detail: "the battery printed no result"}
}

// Root reports whether the column was run as uid 0.
func (c *Column) Root() bool {
	uid, _, _ := strings.Cut(c.User, ":")
	return uid == "0"
}

// Tally counts the results of all probes.
func (c *Column) Tally() Tally {
	var t Tally
	for _, p := range Probes() {
		t.Probes++
		switch c.Of(p.Name).Verdict {
		case Allowed:
			t.Allowed++
			t.count(p.Severity)
		case Denied:
			t.Denied++
		case Absent:
			t.Absent++
		default:
			t.Failed++
		}
	}
	return t
}

func (t *Tally) count(s Severity) {
	switch s {
	case High:
		t.High++
	case Medium:
		t.Medium++
	case Low:
		t.Low++
	}
}

// Least is how many probes of at least that severity are allowed.
func (t Tally) Least(s Severity) int {
	switch s {
	case High:
		return t.High
	case Medium:
		return t.High + t.Medium
	case Low:
		return t.Allowed
	}
	return 0
}

// Severities are all severities, the worst first. The caller owns the slice.
func Severities() []Severity { return []Severity{High, Medium, Low} }

// Change is what is allowed in one column and not in another, the worst first.
type Change struct {
	Lost   []Probe // allowed in the first, not in the second
	Gained []Probe // the other way round
}

// Compare says what changes from one column to another. What failed in one of them has not changed.
func Compare(from, to *Column) Change {
	var c Change
	for _, s := range Severities() {
		for _, p := range Probes() {
			if p.Severity != s {
				continue
			}
			switch before, after := from.Of(p.Name).Verdict, to.Of(p.Name).Verdict; {
			case before == Failed || after == Failed || before == after:
			case before == Allowed:
				c.Lost = append(c.Lost, p)
			case after == Allowed:
				c.Gained = append(c.Gained, p)
			}
		}
	}
	return c
}
