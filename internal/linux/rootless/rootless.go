// Package rootless lets an ordinary user work as root of a user namespace of his own.
package rootless

import "errors"

// Enter re-executes the program as root of a new user and mount namespace (newuidmap, newgidmap;
// a single id where there are no subordinate ids). It returns at once for real root and inside.
func Enter() error { return errors.ErrUnsupported }

// Inside reports whether the process runs in a namespace made by Enter.
func Inside() bool { return false }

// SingleID reports whether that namespace maps one id only.
func SingleID() bool { return false }
