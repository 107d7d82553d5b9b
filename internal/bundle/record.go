package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// record is what is remembered of a container.
type record struct {
	ID          string            `json:"id"`
	OCIVersion  string            `json:"ociVersion"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Owner       int               `json:"owner"`
	Phase       phase             `json:"phase"`
	Process     process           `json:"process"`
	Cgroup      string            `json:"cgroup,omitempty"` // as linux.cgroupsPath
	Annotations map[string]string `json:"annotations,omitempty"`
}

// phase is how far the making of a container has come.
type phase string

const (
	phaseCreating phase = "creating" // if nobody has the lock, its creator was killed
	phaseMade     phase = "made"
)

const (
	recordName = "state.json"
	gateName   = "start"
)

func (c *Container) path(name string) string { return filepath.Join(c.dir, name) }

// read reads the record. A directory without one is a container whose creator was killed at once, or
// has not come further.
func (c *Container) read(id string) error {
	raw, err := os.ReadFile(c.path(recordName))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(c.dir); err != nil {
			return fmt.Errorf("%w: %s", ErrNotExist, id)
		}
		c.record = record{ID: id, OCIVersion: specs.Version, Phase: phaseCreating}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read container: %w", err)
	}
	var rec record
	if err := json.Unmarshal(raw, &rec); err != nil || rec.ID != id {
		return fmt.Errorf("read %s: not a container's record: %w", c.path(recordName), errors.Join(err, fs.ErrInvalid))
	}
	c.record = rec
	return nil
}

// write writes the record: whoever reads it reads the old one or the new one. It is for this boot only,
// so nothing is synced.
func (c *Container) write() error {
	raw, err := json.Marshal(&c.record)
	if err != nil {
		return fmt.Errorf("write container: %w", err)
	}
	temp := c.path(recordName + ".new") // only the lock's holder writes
	if err := os.WriteFile(temp, raw, 0o600); err != nil {
		return fmt.Errorf("write container: %w", err)
	}
	if err := os.Rename(temp, c.path(recordName)); err != nil {
		return fmt.Errorf("write container: %w", err)
	}
	return nil
}

// remove forgets the container. The record goes last but for the directory: until then a killed
// remover leaves something to delete.
func (c *Container) remove() error {
	for _, name := range [...]string{gateName, configName, recordName + ".new", recordName} {
		if err := os.Remove(c.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("forget container: %w", err)
		}
	}
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("forget container: %w", err)
	}
	return nil
}

// Spec is config.json as it was when the container was created.
func (c *Container) Spec() (*specs.Spec, error) {
	if c.spec != nil {
		return c.spec, nil
	}
	raw, err := os.ReadFile(c.path(configName))
	if err != nil {
		return nil, fmt.Errorf("read container: %w", err)
	}
	if c.spec, err = Parse(raw); err != nil {
		return nil, fmt.Errorf("read container: %w", err)
	}
	return c.spec, nil
}
