package proof_test

import (
	"strings"
	"testing"

	"github.com/deckhand-engine/deckhand/guard/proof"
)

func TestPage(t *testing.T) {
	page := string(files(t, sample())[proof.PageName])
	for what, want := range map[string]string{
		"title":      "# redis without root\n",
		"count":      "`./Dockerfile` was tried in 4 runs, of which 2 passed",
		"date":       "Finished Wed, 25 Nov 2026 10:30:15 UTC.",
		"picture":    "(proof.svg)\n",
		"check":      "(--check): in the container `redis-cli ping`\n",
		"exercise":   "exercise it: `redis-cli save`\n",
		"repair":     "| `chown /var/lib/redis` | redis-server writes temp-12.rdb here (openat, EACCES) | `redis-server`: `openat` `/var/lib/redis/temp-12.rdb` EACCES (3 times) |\n",
		"difference": "\n```diff\ndiff before after\n--- before\n+++ after\n@@ -1,3 +1,4 @@\n FROM debian:12\n RUN apt-get install -y redis-server\n+USER 9000:9000\n CMD [\"redis-server\"]\n```\n",
		"survived":   "| `redis-server` | `prlimit64` |  | EPERM | 2 |\n",
		"refused":    "does without: `rseq`, `sysinfo`.\n",
		"trial":      "| 2 | as 9000:9000, read-only | no | 4 | 0.41 | the service exited with code 1 after 0.2 s |\n",
		"repetition": "```sh\ndeckhand harden --exercise 'redis-cli save' --output hardened ./Dockerfile\n```\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%s: no %q in\n%s", what, want, page)
		}
	}
	if strings.Contains(page, "cannot be taken away") {
		t.Error("nothing is irreducible")
	}
}

func TestPageOfRoot(t *testing.T) {
	page := string(files(t, irreducible())[proof.PageName])
	for what, want := range map[string]string{
		"title":       "# cron with less privilege\n",
		"irreducible": "\n- it runs jobs as other users: setgroups and setuid\n",
		"root":        "| root file system | writable |\n",
		"filter":      "| system calls | those of docker's default filter |\n",
		"last resort": " (a last resort) | it would drop to a user that is none |",
		"exercise":    "no exercise was given (`--exercise`)",
		"repetition":  "\ndeckhand harden --check-host 'test -s log/ran' debian-cron:latest\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%s: no %q in\n%s", what, want, page)
		}
	}
	for _, wrong := range []string{"proof.svg", "seccomp.json", "What an attacker"} {
		if strings.Contains(page, wrong) {
			t.Errorf("there is no %s", wrong)
		}
	}
}

// TestHostilePage: all rows of a table have as many cells as its head, and nothing of a name is markup.
func TestHostilePage(t *testing.T) {
	page := string(files(t, hostile())[proof.PageName])
	for _, wrong := range []string{"<script", "](f)", "\x00", "\x1b", "\u2028", "\u202e"} {
		if strings.Contains(outside(page), wrong) {
			t.Errorf("there is %q in\n%s", wrong, page)
		}
	}
	if strings.ContainsAny(page, "\x00\x1b\u2028\u202e") {
		t.Errorf("the page hides something: %q", page)
	}
	cells, rows := 0, 0
	for line := range strings.Lines(outside(page)) {
		switch {
		case !strings.HasPrefix(line, "|"):
			cells = 0
		case cells == 0:
			cells = strings.Count(line, "|")
		case strings.Count(line, "|") != cells:
			t.Errorf("%d cells in a table with %d: %s", strings.Count(line, "|")-1, cells-1, line)
		default:
			rows++
		}
	}
	if rows < 50 {
		t.Errorf("%d rows", rows)
	}
}

// TestFence: no command can end the block that it stands in.
func TestFence(t *testing.T) {
	p := sample()
	p.Command = []string{"deckhand", "harden", "````\n# a title", "x"}
	page := string(files(t, p)[proof.PageName])
	if want := "\n`````sh\ndeckhand harden '````\n# a title' x\n`````\n"; !strings.HasSuffix(page, want) {
		t.Errorf("no %q in\n%s", want, page)
	}
}

// outside is a page without its fenced blocks.
func outside(page string) string {
	var b strings.Builder
	fence := ""
	for line := range strings.Lines(page) {
		ticks := line[:len(line)-len(strings.TrimLeft(line, "`"))]
		switch {
		case fence == "" && len(ticks) >= 3 && !strings.Contains(line[len(ticks):], "`"):
			fence = ticks
		case fence == "":
			b.WriteString(line)
		case len(ticks) >= len(fence) && strings.TrimSpace(line) == ticks:
			fence = ""
		}
	}
	return b.String()
}
