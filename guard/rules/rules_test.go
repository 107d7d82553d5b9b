package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/rules"
)

// nobody is a user that no rule objects to.
var nobody = guard.User{Spec: "1000", UID: guard.Exactly(1000), GID: guard.Exactly(1000), Where: line(9)}

func line(n int) guard.Location {
	return guard.Location{Path: "f", Line: n, Column: 1, EndLine: n, EndColumn: 5}
}

func subject(kind guard.Kind, u guard.User) *guard.Subject {
	return &guard.Subject{Kind: kind, Name: "it", Where: line(1), User: u, Image: "debian:12"}
}

func named(spec string, uid, gid uint32) guard.User {
	name, _, _ := strings.Cut(spec, ":")
	return guard.User{Spec: spec, UID: guard.Exactly(uid), GID: guard.Exactly(gid), Name: name, Where: line(9)}
}

func unknown(spec, why string) guard.User {
	return guard.User{Spec: spec, UID: guard.AnyID(), GID: guard.AnyID(), Unknown: why, Where: line(9)}
}

// cases are subjects and what is found: "DH001 error" each, ordered by place and rule; and a part of the first
// finding's texts.
type cases map[string]struct {
	subject *guard.Subject
	want    string
	text    string
}

func (c cases) run(t *testing.T) {
	t.Helper()
	for name, tt := range c {
		t.Run(name, func(t *testing.T) {
			found := rules.Check(tt.subject, guard.Settings{})
			var got []string
			for _, f := range found {
				got = append(got, f.Rule+" "+f.Severity.String())
				if f.Subject != "it" || f.Where.Line == 0 && tt.subject.Where.Line > 0 {
					t.Errorf("%s has subject %q and place %s", f.Rule, f.Subject, f.Where)
				}
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, ", ")); diff != "" {
				t.Errorf("findings (-want +got):\n%s\n%s", diff, texts(found))
			}
			if all := texts(found); !strings.Contains(all, tt.text) {
				t.Errorf("%q is not in:\n%s", tt.text, all)
			}
		})
	}
}

func texts(found []guard.Finding) string {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%s %s: %s; %s; %s", f.Where, f.Rule, f.Message, f.Detail, f.Hint)
		for _, fix := range f.Fixes {
			fmt.Fprintf(&b, "; %s (safe: %v)", fix.Title, fix.Safe)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestAll(t *testing.T) {
	all := rules.All()
	if len(all) != 31 {
		t.Fatalf("there are %d rules", len(all))
	}
	names := map[string]bool{}
	for i, r := range all {
		if want := fmt.Sprintf("DH%03d", i); r.ID != want || r.Name == "" || r.Title == "" || r.Severity == guard.Off || names[r.Name] {
			t.Errorf("rule %d is %+v, want %s and a name of its own", i, r, want)
		}
		if (r.Check == nil) != (r.ID == "DH000" || r.ID == "DH030") {
			t.Errorf("%s: Check is nil: %v", r.ID, r.Check == nil)
		}
		names[r.Name] = true
	}
	all[0].ID = "changed"
	if rules.All()[0].ID != "DH000" {
		t.Error("All hands out the table itself")
	}
}

func TestByID(t *testing.T) {
	for _, id := range []string{"DH012", "dh012", "engine-socket", "Engine-Socket"} {
		if r, ok := rules.ByID(id); !ok || r.ID != "DH012" {
			t.Errorf("ByID(%q) = %v, %v", id, r.ID, ok)
		}
	}
	if r, ok := rules.ByID("DH999"); ok {
		t.Errorf("ByID(DH999) = %v", r)
	}
}

// TestTextsAreClean looks at what values of a document may do to a terminal.
func TestTextsAreClean(t *testing.T) {
	evil := "a\x1b[2J\nb\u202e" + strings.Repeat("x", 500)
	s := subject(guard.KindCompose, guard.User{Spec: evil, Missing: evil})
	s.Name = "it"
	s.Violations = []guard.Violation{{Level: "baseline", Reason: evil, Detail: evil}}
	for _, kind := range []guard.GrantKind{
		guard.GrantPrivileged, guard.GrantCapability, guard.GrantNamespace, guard.GrantEscalation, guard.GrantUnconfined,
		guard.GrantMount, guard.GrantReadOnlyMount, guard.GrantDevice,
	} {
		s.Grants = append(s.Grants, guard.Grant{Kind: kind, Value: "/etc/" + evil})
	}
	s.Variables = []guard.Variable{{Name: evil + "_PASSWORD", Value: "hunter2"}, {Name: "DB_PASSWORD", Value: "hunter2"}}
	s.Steps = []guard.Step{{
		Installs: []string{"nmap", "sudo" + "=" + evil}, Setuid: []string{evil}, Opens: []string{"/" + evil},
		Gives: []guard.Ownership{{Path: evil, Owner: evil, Copy: true}}, Manager: "apt-get",
	}}
	found := rules.Check(s, guard.Settings{})
	if len(found) < 12 {
		t.Fatalf("found only:\n%s", texts(found))
	}
	for _, f := range found {
		for _, text := range []string{f.Message, f.Detail, f.Hint} {
			if strings.ContainsAny(text, "\x1b\n\u202e") || len(text) > 900 || strings.Contains(text, "hunter2") {
				t.Errorf("%s says %q", f.Rule, text)
			}
		}
	}
}
