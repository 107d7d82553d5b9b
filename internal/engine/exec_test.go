package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/oci"
)

// A process that enters has the container's filter, or the one it was given, also where the container has none.
func TestExecSeccomp(t *testing.T) {
	own := &specs.LinuxSeccomp{DefaultAction: specs.ActTrace}
	given := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno}
	tests := map[string]struct {
		container oci.SpecOptions
		given     *specs.LinuxSeccomp
		want      *specs.LinuxSeccomp
	}{
		"the container's":      {oci.SpecOptions{Seccomp: own}, nil, own},
		"another":              {oci.SpecOptions{Seccomp: own}, given, given},
		"none":                 {oci.SpecOptions{SeccompUnconfined: true}, nil, nil},
		"one instead of none":  {oci.SpecOptions{SeccompUnconfined: true}, given, given},
		"one instead of ours ": {oci.SpecOptions{}, given, given},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := execSpec(Config{Spec: tt.container}, runExtra{IDCount: 65536}, ExecOptions{Args: []string{"true"}, Seccomp: tt.given})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, s.Linux.Seccomp); diff != "" {
				t.Error(diff)
			}
		})
	}
}
