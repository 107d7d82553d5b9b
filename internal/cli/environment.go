package cli

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// environment joins --env-file and -e. A name without "=" takes this process's value, or removes the
// variable where there is none.
func (o *runOptions) environment() ([]string, error) {
	var env []string
	for _, f := range o.envFile {
		lines, err := readEnvFile(f)
		if err != nil {
			return nil, err
		}
		env = append(env, lines...)
	}
	for _, e := range o.env {
		name, _, set := strings.Cut(e, "=")
		if name == "" {
			return nil, fmt.Errorf("invalid environment variable: %s", e)
		}
		if !set {
			if v, ok := os.LookupEnv(name); ok {
				e = name + "=" + v
			}
		}
		env = append(env, e)
	}
	return env, nil
}

// readEnvFile reads docker's --env-file format: NAME=value or NAME, a line each; # comments.
func readEnvFile(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read only
	var env []string
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		line := sc.Text()
		if n == 1 {
			line = strings.TrimPrefix(line, "\uFEFF")
		}
		e, err := envLine(strings.TrimLeft(line, " \t"))
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		if e != "" {
			env = append(env, e)
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return env, nil
}

// envLine is the variable of one line, empty where there is none.
func envLine(line string) (string, error) {
	if line == "" || line[0] == '#' {
		return "", nil
	}
	name, _, set := strings.Cut(line, "=")
	if name == "" {
		return "", fmt.Errorf("no variable name on line '%s'", line)
	}
	if strings.ContainsAny(strings.TrimRight(name, " \t"), " \t") || set && strings.ContainsAny(name, " \t") {
		return "", fmt.Errorf("variable '%s' contains whitespaces", name)
	}
	if set {
		return line, nil
	}
	name = strings.TrimRight(name, " \t")
	if v, ok := os.LookupEnv(name); ok {
		return name + "=" + v, nil
	}
	return "", nil
}
