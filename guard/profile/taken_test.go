package profile_test

import (
	"strings"
	"testing"

	"github.com/deckhand-engine/deckhand/guard/profile"
)

func TestNames(t *testing.T) {
	long := strings.Repeat("x", profile.MaxName)
	taken := profile.Names{"service": true}
	for i, name := range []struct{ want, got string }{
		{"data", "data"},
		{"data", "data-2"},
		{"data", "data-3"},
		{"data-2", "data-2-2"},
		{"service", "service-2"},
		{long, long},
		{long, long[:profile.MaxName-2] + "-2"},
	} {
		if got := taken.Take(name.want); got != name.got {
			t.Errorf("%d: %s for %s, want %s", i, got, name.want, name.got)
		}
	}
}
