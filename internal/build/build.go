// Package build runs BuildKit's Dockerfile front end over an LLB executor on Deckhand's store and runtime.
package build
