package hint_test

import (
	"testing"

	"github.com/deckhand-engine/deckhand/internal/hint"
)

func TestWord(t *testing.T) {
	for word, want := range map[string]string{
		"redis-data": "redis-data", "/srv/my data": "'/srv/my data'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "": "''", "a;b": "'a;b'", "a\nb": "'a\nb'",
		"A=b:c,d@e%f+g_": "A=b:c,d@e%f+g_", "b b": "'b b'", "é": "'é'",
	} {
		if got := hint.Word(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
	if got := hint.Quoted("plain"); got != "'plain'" {
		t.Errorf("got %s", got)
	}
	if got := hint.Command("rm", "-r", "my data"); got != "rm -r 'my data'" {
		t.Errorf("got %s", got)
	}
}
