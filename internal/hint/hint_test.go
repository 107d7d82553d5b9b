package hint

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestHints(t *testing.T) {
	plain := errors.New("no such thing")
	hinted := With(plain, "one", "two")
	tests := map[string]struct {
		err  error
		text string
		want []string
	}{
		"without":   {err: plain, text: "no such thing"},
		"with":      {err: hinted, text: "no such thing", want: []string{"one", "two"}},
		"inside":    {err: fmt.Errorf("find: %w", hinted), text: "find: no such thing", want: []string{"one", "two"}},
		"outermost": {err: With(hinted, "three"), text: "no such thing", want: []string{"three"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Of(tt.err); !slices.Equal(got, tt.want) || tt.err.Error() != tt.text || !errors.Is(tt.err, plain) {
				t.Errorf("%v: %q", tt.err, got)
			}
		})
	}
	if err := With(nil, "one"); err != nil {
		t.Errorf("nothing became %v", err)
	}
	if got := Of(nil); got != nil {
		t.Errorf("nothing has %q", got)
	}
}
