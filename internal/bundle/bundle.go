// Package bundle runs OCI bundles: a directory with a config.json and a root goes in, a container that
// any later process can ask for, start, signal and delete comes out (runtime-spec, bundle.md and
// runtime.md).
//
// A container is a directory below a [Root]: its record, a copy of its config.json, and, until it is
// started, the socket its first process waits at. What it is doing is never written down but worked out
// from that process, which is known by pid and start time. Whoever makes, starts or deletes a container
// holds its lock, a flock of that directory, so that several processes may do so at once, and one that
// is killed leaves something that Delete and the next Create clear away.
//
// Nobody watches a container: whoever wants to know how it ended adopts its process (a subreaper, as
// conmon and containerd's shim are) or waits for it (Run).
package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const configName = "config.json"

// Bundle is a directory with a config.json that can be carried out as far as can be told from reading it.
type Bundle struct {
	Dir  string // absolute
	Spec *specs.Spec
	raw  []byte
}

// Load reads and checks the bundle in dir. Properties of config.json that are unknown are ignored, as
// the specification demands.
func Load(dir string) (*Bundle, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find bundle: %w", err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, configName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("JSON specification file %s not found in %s: %w", configName, dir, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("load bundle: %w", err)
	}
	spec, err := Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", filepath.Join(dir, configName), err)
	}
	b := &Bundle{Dir: dir, Spec: spec, raw: raw}
	if fi, err := os.Stat(b.rootfs()); err != nil || !fi.IsDir() {
		if err == nil {
			err = errors.New("not a directory")
		}
		return nil, fmt.Errorf("root.path %q: %w", spec.Root.Path, err)
	}
	return b, nil
}

// Parse reads a config.json and checks what can be checked without the machine.
func Parse(raw []byte) (*specs.Spec, error) {
	spec := new(specs.Spec)
	if err := json.Unmarshal(raw, spec); err != nil {
		return nil, explainJSON(raw, err)
	}
	if err := validate(spec); err != nil {
		return nil, err
	}
	return spec, nil
}

// ParseProcess reads the process property of a config.json, as exec --process takes it.
func ParseProcess(raw []byte) (*specs.Process, error) {
	p := new(specs.Process)
	if err := json.Unmarshal(raw, p); err != nil {
		return nil, explainJSON(raw, err)
	}
	return p, validateProcess(p)
}

// explainJSON adds the line to an error of syntax.
func explainJSON(raw []byte, err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		at := min(int(syntax.Offset), len(raw))
		return fmt.Errorf("line %d: %w", 1+bytes.Count(raw[:at], []byte("\n")), err)
	}
	return err
}

// rootfs is the root's path on the host.
func (b *Bundle) rootfs() string {
	if filepath.IsAbs(b.Spec.Root.Path) {
		return filepath.Clean(b.Spec.Root.Path)
	}
	return filepath.Join(b.Dir, b.Spec.Root.Path)
}
