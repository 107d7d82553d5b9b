package ref

import "strings"

// ValidName is docker's rule for the names of containers and volumes, which are no references:
// [a-zA-Z0-9][a-zA-Z0-9_.-]+, and here at most 200 bytes.
func ValidName(name string) bool {
	for i, r := range name {
		alnum := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !alnum && (i == 0 || !strings.ContainsRune("_.-", r)) {
			return false
		}
	}
	return len(name) > 1 && len(name) <= 200
}
