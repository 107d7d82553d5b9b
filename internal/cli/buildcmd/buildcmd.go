// Package buildcmd is the command line of deckhand-build.
package buildcmd
