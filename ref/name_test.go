package ref

import (
	"strings"
	"testing"
)

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"web": true, "Web_1.a-b": true, "0a": true, strings.Repeat("a", 200): true,
		"": false, "a": false, "_web": false, "-web": false, ".web": false, "we/b": false, "web ": false, "wéb": false,
		strings.Repeat("a", 201): false,
	} {
		if got := ValidName(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
