// Package handover is the way from one image of the master to the next, in the
// same process: an upgrade executes another program in place, and descriptors,
// children and the process id stay what they are.
//
// The old image writes a Note into a file in memory (memfd_create(2)) and execs.
// The new image finds it as soon as this package is loaded. Until it calls Taken
// nothing has been changed, and Back execs the old image again, which was kept
// open and finds the same Note.
//
// A new binary is tried before that: as a child, with the same arguments and a
// copy of the Note, it says whether it could take over (Try, Answer).
package handover
