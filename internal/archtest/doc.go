// Package archtest holds the code to ARCHITECTURE.md: imports point down, `deckhand` stays light, functions and
// files stay short, every dependency has a reason, and the documents name files that exist. Its tests read and
// parse the files themselves: a test that asked the go command would be answered from the cache.
package archtest
