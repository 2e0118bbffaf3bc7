/* Which producer may write under a name: create, take over (adopt), replace (docs/protocol.md
 * section 4). The blocks have no payloads. */

#define NONE 255
#define OWNS 0		/* has block 0 already */
#define OPEN 1		/* creates the block, or takes it over when the producer is gone */
#define REPLACE 2	/* replaces with force */

inline opened()
{
	if
	:: order[blk] >= order[current] -> current = blk
	:: else
	fi
}

/* FenceNext: sets FENCE on the entry that is published next. Repeats until the flag is set on an
 * entry that is not published yet. */
inline fenceNext(x)
{
	do
	:: next = commit[x];
		do
		:: atomic {
			v = ent[AT(x, next)];
			if
			:: TAG(v) > next -> next = TAG(v)
			:: else -> break
			fi
		   }
		od;
		atomic {
			if
			:: ent[AT(x, next)] == v -> ent[AT(x, next)] = v | FENCE; v = 0; next = 0; break
			:: else -> v = 0; next = 0
			fi
		}
	od
}

/* replaceBlock 2 and 3. The state makes every later claim fail. The fence makes the open claim
 * fail. After both the readers get SUPERSEDED. */
inline markAndFence(x)
{
#ifdef MUT_FENCE_BEFORE_MARK
	fenceNext(x);
#endif
#ifdef MUT_ONE_MARK
	state[x] = SUPERSEDED;
#else
	atomic { if :: state[x] < REPLACING -> state[x] = REPLACING :: else fi };
#endif
#if !defined(MUT_FENCE_BEFORE_MARK) && !defined(MUT_NO_FENCE)
	fenceNext(x);
#endif
	state[x] = SUPERSEDED
}

proctype Opener(byte me; byte how; byte own; byte upto)
{
	byte blk, next, free, retired, slot, rem, minc, k, v, old, exp[N];
#ifdef RECLAIM
	byte released, reclaimed, seen;
#endif

	{
	if
	:: how == OWNS -> know(); goto work
	:: how == OPEN -> goto find
	:: how == REPLACE -> goto replace
	fi;

find:
	if
	:: name == NONE ->
		/* createBlock: links the new block into place, and does not replace an existing one. */
		lock0[own] = me;
		atomic {
			if
#ifdef MUT_CREATE_REPLACES
			:: true -> name = own; turn++; order[own] = turn
#else
			:: name == NONE -> name = own; turn++; order[own] = turn
#endif
			:: else -> lock0[own] = 0; goto find
			fi
		};
		atomic { blk = own; opened(); know(); goto work }
	:: else -> blk = name
	fi;
	/* An opener that finds row 0 held fails. Here it tries again until something changes. */
	if
#ifdef MUT_ADOPT_WITHOUT_LOCK
	:: lock0[blk] == 0
#else
	:: d_step { lock0[blk] == 0 -> lock0[blk] = me }
#endif
	:: state[blk] >= REPLACING -> goto replace
	:: name != blk -> goto find
	fi;
	if
	:: name != blk -> lock0[blk] = 0; goto find	/* checks that the name still leads here */
	:: else
	fi;
	if
	:: state[blk] >= REPLACING -> lock0[blk] = 0; goto replace	/* begun by a dead replacer: finish it */
	:: else
	fi;
	adopt();
	wakeAlways();
	atomic { opened(); goto work };

replace:
	lock0[own] = me;
again:
	old = name;
#ifndef MUT_NO_REPLACE_LOCK
	if
	:: d_step { replacing[old] == 0 -> replacing[old] = me }
	:: name != old -> goto again
	fi;
	if
	:: name != old -> replacing[old] = 0; goto again
	:: else
	fi;
#endif
#ifdef MUT_HALF_REPLACED_IS_DONE
	if
	:: state[old] >= REPLACING
	:: else -> markAndFence(old)
	fi;
#else
	markAndFence(old);
#endif
	/* the exchange: the displaced block has the other name now */
	atomic { blk = name; name = own; turn++; order[own] = turn };
	if
	:: blk != old -> markAndFence(blk)
	:: else
	fi;
#ifndef MUT_NO_REPLACE_LOCK
	replacing[old] = 0;
#endif
	wakeAlways();
	atomic { blk = own; old = 0; opened(); know() };

work:
	do
	:: atomic { next < upto -> slot = 0 };
#ifdef RECLAIM
		atomic { if :: next -> released = next :: else fi };	/* there is no reader */
		reclaim();
#endif
		remember();
		publish();
		atomic { next++; commit[blk] = next };
		if
		:: blk == 0 -> wakeConsumers()
		:: else
		fi;
		goto more;
refused:	skip;
more:		skip
	:: next >= upto -> break
	od;
	atomic { if :: state[blk] == READY -> state[blk] = CLOSED :: else fi };	/* Producer.Close, compare-and-swap */
	if
	:: blk == 0 -> wakeAlways()
	:: else
	fi;
over:
	atomic { ENDS; blk = 0; next = 0; free = 0; retired = 0; slot = 0; rem = 0; FORGET_RECLAIM; forget() }
	} unless {
		atomic {
			DIES;
			blk = 0; next = 0; free = 0; retired = 0; slot = 0; rem = 0; minc = 0; k = 0; v = 0; old = 0;
			FORGET_RECLAIM;
			forget()
		}
	}
}
