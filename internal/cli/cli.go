// Package cli is the command line: one file a command; the only place that knows flags.
package cli
