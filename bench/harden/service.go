package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// root is where the services are, from the repository's root.
const root = "bench/harden"

// service is a directory with a Dockerfile and a check.
type service struct {
	name     string
	dir      string // from the repository's root
	exercise string // command line run in the container after the first check; empty: none
}

// check is the program that asks the service from outside, as a path from the repository's root.
func (s *service) check() string { return s.dir + "/check" }

// image is the name its image gets.
func (s *service) image() string { return "svc-" + s.name }

// loadServices finds the services: all, or those in the list with commas, in its order.
func loadServices(repository fs.FS, only string) ([]*service, error) {
	entries, err := fs.ReadDir(repository, root)
	if err != nil {
		return nil, fmt.Errorf("find the services (run this in the repository's root): %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	if only != "" {
		wanted := strings.Split(only, ",")
		for _, name := range wanted {
			if !slices.Contains(names, name) {
				return nil, fmt.Errorf("no service %q in %s: there are %s", name, root, strings.Join(names, ", "))
			}
		}
		names = wanted
	}
	services := make([]*service, 0, len(names))
	for _, name := range names {
		s, err := loadService(repository, name)
		if err != nil {
			return nil, err
		}
		services = append(services, s)
	}
	return services, nil
}

func loadService(repository fs.FS, name string) (*service, error) {
	s := &service{name: name, dir: path.Join(root, name)}
	if _, err := fs.Stat(repository, s.dir+"/Dockerfile"); err != nil {
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	check, err := fs.Stat(repository, s.check())
	switch {
	case err != nil:
		return nil, fmt.Errorf("load %s: %w", name, err)
	case check.Mode()&0o111 == 0:
		return nil, fmt.Errorf("load %s: %s is not executable: chmod +x it", name, s.check())
	}
	exercise, err := fs.ReadFile(repository, s.dir+"/exercise")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	s.exercise = strings.TrimSpace(string(exercise))
	return s, nil
}
