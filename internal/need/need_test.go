package need

import (
	"runtime"
	"testing"
)

// recorder stands in for a test and records how it was ended.
type recorder struct {
	testing.TB
	skipped, failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Skipf(string, ...any)  { r.skipped = true; runtime.Goexit() }
func (r *recorder) Fatalf(string, ...any) { r.failed = true; runtime.Goexit() }

func TestProgram(t *testing.T) {
	tests := map[string]struct {
		strict, program string
		skipped, failed bool
	}{
		"present":         {program: "sh"},
		"missing":         {program: "no-such-program", skipped: true},
		"missing, strict": {program: "no-such-program", strict: "1", failed: true},
		"present, strict": {program: "sh", strict: "1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DECKHAND_TEST_STRICT", tt.strict)
			r := &recorder{TB: t}
			done := make(chan struct{})
			go func() {
				defer close(done)
				Program(r, tt.program)
			}()
			<-done
			if r.skipped != tt.skipped || r.failed != tt.failed {
				t.Errorf("skipped=%v failed=%v, want %v %v", r.skipped, r.failed, tt.skipped, tt.failed)
			}
		})
	}
}
