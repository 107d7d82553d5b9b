package guard_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
)

func TestBuildArgs(t *testing.T) {
	env := func(k string) (string, bool) {
		v, ok := map[string]string{"SET": "from the environment", "EMPTY": ""}[k]
		return v, ok
	}
	got := guard.BuildArgs([]string{"A=1", "B=x=y", "C=", "SET", "EMPTY", "UNSET", "A=2"}, env)
	want := map[string]string{"A": "2", "B": "x=y", "C": "", "SET": "from the environment", "EMPTY": ""}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
