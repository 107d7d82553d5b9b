package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// addFiles gives the container its hosts, hostname and resolv.conf: those of the container whose network it shares, or
// its own.
func (c *Container) addFiles(s *Sandbox) error {
	dir := s.UpperBase
	if c.Config.Modes.Network != "" {
		dir = s.donor.dir
	} else if err := c.writeFiles(dir); err != nil {
		return err
	}
	own := make([]specs.Mount, 0, 3+len(s.Options.Mounts))
	for _, name := range [...]string{"hosts", "hostname", "resolv.conf"} {
		own = append(own, specs.Mount{
			Destination: "/etc/" + name, Type: "bind", Source: filepath.Join(dir, name),
			Options: []string{"bind", "rprivate", "idmap"},
		})
	}
	s.Options.Mounts = append(own, s.Options.Mounts...)
	return nil
}

func (c *Container) writeFiles(dir string) error {
	gateway := ""
	if a := c.net.Gateway(); a.IsValid() {
		gateway = a.String()
	}
	hosts, err := c.Config.Names.hostsFile(c.net.Hosts(), gateway)
	if err != nil {
		return err
	}
	for _, f := range [...]struct {
		name    string
		content []byte
	}{
		{"hosts", hosts},
		{"hostname", []byte(c.Config.Spec.Hostname + "\n")},
		{"resolv.conf", c.Config.Names.resolvConf(c.net.ResolvConf())},
	} {
		if err := overwrite(filepath.Join(dir, f.name), f.content); err != nil {
			return fmt.Errorf("write the container's %s: %w", f.name, err)
		}
	}
	return nil
}

// overwrite writes a file that may be there, of an earlier run or another container.
func overwrite(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644) //nolint:gosec // readable by every user of the container
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Truncate(int64(len(content)))
	}
	return errors.Join(err, f.Close())
}
