package proof

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/repair"
)

// trialJSON is a trial as it is written: durations are seconds, as in [Proof.Times].
type trialJSON struct {
	Title   string  `json:"title"`
	Passed  bool    `json:"passed"`
	Reason  string  `json:"reason,omitempty"`
	Denials int     `json:"denials,omitempty"`
	Seconds float64 `json:"seconds"`
}

// maxSeconds bounds a trial: so few seconds still tell nanoseconds apart in a float64.
const maxSeconds = 1 << 20

// MarshalJSON implements json.Marshaler.
func (t Trial) MarshalJSON() ([]byte, error) {
	if err := checkSeconds(t.Took.Seconds()); err != nil {
		return nil, err
	}
	return encode(trialJSON{t.Title, t.Passed, t.Reason, t.Denials, t.Took.Seconds()}, "")
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Trial) UnmarshalJSON(data []byte) error {
	var in trialJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	if err := checkSeconds(in.Seconds); err != nil {
		return err
	}
	took := time.Duration(math.Round(in.Seconds * float64(time.Second)))
	*t = Trial{in.Title, in.Passed, in.Reason, in.Denials, took}
	return nil
}

func checkSeconds(n float64) error {
	if n < 0 || n > maxSeconds {
		return fmt.Errorf("a trial took %g seconds: 0 to %d are known", n, maxSeconds)
	}
	return nil
}

// encode is encoding/json without escapes for HTML, which nobody reads this as.
func encode(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// settled is the proof as it is written: with its version, lists that are there even if they are empty, names of
// system calls in order, and the name of the filter's file. p stays as it is.
func (p *Proof) settled() *Proof {
	out := *p
	if out.Version == 0 {
		out.Version = Version
	}
	out.Repairs = listed(out.Repairs)
	out.Tolerated = listed(out.Tolerated)
	out.Trials = listed(out.Trials)
	out.Syscalls = sorted(out.Syscalls)
	out.Refused = sorted(out.Refused)
	out.Profile.Capabilities = listed(out.Profile.Capabilities)
	out.Profile.Seccomp = ""
	if len(out.Syscalls) > 0 {
		out.Profile.Seccomp = SeccompName
	}
	out.Times = maps.Clone(out.Times)
	if out.Times == nil {
		out.Times = map[string]float64{}
	}
	out.Finished = out.Finished.UTC().Round(0)
	return &out
}

// listed is a list that JSON does not write as null.
func listed[T string | Trial | repair.Repair | observe.Call](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// sorted is a list in order, without doubles.
func sorted(names []string) []string {
	return listed(slices.Compact(slices.Sorted(slices.Values(names))))
}
