// Package version knows which version of deckhand this is.
package version

import "runtime/debug"

// number is set by the linker (-X …/internal/version.number=v1.2.3); a `go install` has the module's.
var number = ""

// Number is the version, "dev" where nobody set one.
func Number() string {
	if number != "" {
		return number
	}
	if bi, ok := debug.ReadBuildInfo(); ok && bi.Main.Version != "" && bi.Main.Version != "(devel)" {
		return bi.Main.Version
	}
	return "dev"
}
