package profile

import "strconv"

// MaxName is how long a volume's name may be in bytes: as long as a DNS label (RFC 1123), and so the names of
// Kubernetes' volumes.
const MaxName = 63

// Names are names that were given: those of one profile's volumes differ.
type Names map[string]bool

// Take gives the wanted name, or the next that is free: "data", "data-2", …
func (n Names) Take(want string) string {
	name := want
	for i := 2; n[name]; i++ {
		suffix := "-" + strconv.Itoa(i)
		name = want[:min(len(want), MaxName-len(suffix))] + suffix
	}
	n[name] = true
	return name
}
