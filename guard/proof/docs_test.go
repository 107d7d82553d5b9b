package proof_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/guard/proof"
	"github.com/deckhand-engine/deckhand/guard/repair"
)

// TestDocumented: docs/proof.md names each file that is written, and each field of proof.json.
func TestDocumented(t *testing.T) {
	content, err := os.ReadFile("../../docs/proof.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(content)
	for name := range files(t, sample()) {
		if !strings.Contains(page, "| `"+name+"` |") {
			t.Errorf("the file %s is not there", name)
		}
	}
	for _, of := range []reflect.Type{
		reflect.TypeFor[proof.Proof](), reflect.TypeFor[repair.Repair](), reflect.TypeFor[observe.Call](),
		reflect.TypeFor[observe.Process](), reflect.TypeFor[probe.Column](), reflect.TypeFor[probe.Result](),
	} {
		for field := range of.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" || !strings.Contains(page, "`"+name+"`") {
				t.Errorf("%v: the field %q is not there", of, name)
			}
		}
	}
}
