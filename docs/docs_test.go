package docs_test

import (
	"strings"
	"testing"

	"github.com/deckhand-engine/deckhand/docs"
)

func TestPage(t *testing.T) {
	if page := docs.Page("DH001"); !strings.HasPrefix(page, "# DH001 no-user\n") {
		t.Errorf("Page(DH001) = %q", page)
	}
	for _, id := range []string{"", "DH999", "../docs", "DH001.md"} {
		if page := docs.Page(id); page != "" {
			t.Errorf("Page(%q) = %q", id, page)
		}
	}
}

func TestProbe(t *testing.T) {
	if page := docs.Probe("raw-socket"); !strings.HasPrefix(page, "# raw-socket\n") {
		t.Errorf("Probe(raw-socket) = %q", page)
	}
	for _, name := range []string{"", "no-such-probe", "../docs", "raw-socket.md"} {
		if page := docs.Probe(name); page != "" {
			t.Errorf("Probe(%q) = %q", name, page)
		}
	}
}
