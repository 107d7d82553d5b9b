package probe_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/deckhand-engine/deckhand/docs"
	"github.com/deckhand-engine/deckhand/guard/probe"
)

func TestCatalogue(t *testing.T) {
	name := regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	seen := map[string]bool{}
	var family probe.Family
	families := map[probe.Family]bool{}
	for _, p := range probe.Probes() {
		if !name.MatchString(p.Name) || seen[p.Name] {
			t.Errorf("name %q", p.Name)
		}
		seen[p.Name] = true
		if p.Family != family && families[p.Family] {
			t.Errorf("%s is not with its family", p.Name)
		}
		family, families[p.Family] = p.Family, true
		if p.Title == "" || strings.HasSuffix(p.Title, ".") || p.Syscall == "" || p.Decides == "" || strings.HasSuffix(p.Decides, ".") || !strings.HasSuffix(p.Meaning, ".") {
			t.Errorf("%s: %+v", p.Name, p)
		}
		switch p.Severity {
		case probe.High, probe.Medium, probe.Low:
		default:
			t.Errorf("%s: severity %q", p.Name, p.Severity)
		}
		if found, ok := probe.Find(p.Name); !ok || found != p {
			t.Errorf("Find(%s) = %+v, %v", p.Name, found, ok)
		}
	}
	if _, ok := probe.Find("nmap"); ok {
		t.Error("there is a probe nmap")
	}
	probe.Probes()[0].Name = "changed"
	if probe.Probes()[0].Name == "changed" {
		t.Error("the catalogue can be changed")
	}
}

// sections are those of a probe's page, in order.
func sections() []string {
	return []string{"What it tries", "What decides", "Known from", "Why it is harmless", "How to deny it"}
}

// TestPages holds the catalogue, the pages and their index to each other.
func TestPages(t *testing.T) {
	index, err := os.ReadFile("../../docs/probes/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range probe.Probes() {
		page := docs.Probe(p.Name)
		if !strings.HasPrefix(page, "# "+p.Name+"\n\nAn attacker could "+p.Title+". "+p.Meaning+" Severity: "+string(p.Severity)+".\n") {
			t.Errorf("docs/probes/%s.md does not begin as the catalogue has it:\n%s", p.Name, page)
		}
		rest := page
		for _, title := range sections() {
			_, after, ok := strings.Cut(rest, "\n## "+title+"\n\n")
			text, _, _ := strings.Cut(after, "\n##")
			if !ok || len(strings.TrimSpace(text)) < 5 {
				t.Errorf("docs/probes/%s.md has no section %q, or nothing in it", p.Name, title)
			}
			rest = after
		}
		if row := "| [" + p.Name + "](" + p.Name + ".md) | " + p.Title + " | " + string(p.Severity) + " | " + p.Decides + " |\n"; strings.Count(string(index), row) != 1 {
			t.Errorf("docs/probes/README.md has not exactly one row\n%s", row)
		}
	}
	files, err := filepath.Glob("../../docs/probes/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".md")
		if _, ok := probe.Find(name); !ok && name != "README" {
			t.Errorf("%s is of no probe", file)
		}
	}
}
