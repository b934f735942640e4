/* SPDX-License-Identifier: MIT */
#ifndef STICK_METHODS_H
#define STICK_METHODS_H

/*
 * What driver and client agree on. A SCSI command's first 8 bytes, and the next 8, are two words. The answers are kWordStatus (the
 * status byte of the transport's end: 0, or 1 for a refused command) and kWordResidue.
 */
enum {
	kStickLuns,     /* -> the highest logical unit; GET_MAX_LUN */
	kStickRead,     /* command (2 words), its length -> 2 words and the data in the structure; with IO */
	kStickWrite,    /* as kStickRead; the structure goes out */
	kStickShared,   /* asynchronous; command (2), its length, bytes of data, direction, times (0: endless); with AsyncIO, through
			 * the memory of type 0. Completes with 2 words, and how many commands were carried out */
	kStickCount,    /* -> commands that kStickShared has carried out until now */
	kStickMethodCount,
};

enum { kWordStatus, kWordResidue, kStickWordCount, kWordCommands = kStickWordCount, kSharedWordCount };

enum { kDirectionOut, kDirectionIn };

enum { kStickSharedSize = 1 << 20 };

#endif
