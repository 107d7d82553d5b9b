package guard

import "strings"

// BuildArgs reads the values of --build-arg: NAME=VALUE, or a NAME alone, which takes the environment's value or is left
// out without one. The last of a name counts.
func BuildArgs(values []string, env func(string) (string, bool)) map[string]string {
	out := map[string]string{}
	for _, a := range values {
		name, value, ok := strings.Cut(a, "=")
		if !ok {
			if value, ok = env(name); !ok {
				continue
			}
		}
		out[name] = value
	}
	return out
}
