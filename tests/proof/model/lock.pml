/* The locks that participants share (docs/protocol.md section 4): how a lock is taken from a dead
 * owner, and how participants wait for a lock. There is one lock and there are no rows: the model
 * knows which owner is dead, as the kernel does. */

#define NOBODY 0
#define ABANDONED 255

byte word;               /* the owner's token */
bit  flagged;            /* the lowest bit of `sleepers`: a participant sleeps, or is about to */
byte since;              /* the count above it: bit per process, as with `event` */
byte queue;              /* participants that sleep on `sleepers` */

/* Only the checker uses these. */
byte inside;             /* participants between lock and unlock */
bit  half;               /* the protected data are half changed */

/* tryLock */
inline try()
{
	owner = word;
	if
#ifdef MUT_LOCK_TAKES_FROM_THE_LIVING
	:: true ->
#else
	:: owner == NOBODY || owner == ABANDONED || (dead & BIT(owner)) ->
#endif
		atomic {
			if
			:: word == owner -> word = me; taken = 1
			:: else
			fi
		}
	:: else
	fi
}

/* leaveLock: wakes the participants that set the flag, and increments the count. A participant that
 * has set the flag and does not sleep yet finds the count changed, and does not go to sleep. */
inline leave(mark, to)
{
	atomic {
		if
		:: word == mark -> word = to; left = 1
		:: else -> left = 0
		fi
	};
	if
	:: left ->
#ifndef MUT_LOCK_NO_WAKE
		atomic {
			if
			:: flagged -> since = since | BIT(me); found = 1
			:: else -> found = 0
			fi
		};
		if
		:: found ->
#ifdef MUT_LOCK_FLAG_WITHOUT_COUNT
			flagged = 0;
			queue = 0
#else
			atomic {
				if
				:: flagged && (since & BIT(me)) -> flagged = 0; since = 0
				:: else -> found = 0
				fi
			};
			if
			:: found -> queue = 0
			:: else		/* another one has counted up, and wakes */
			fi
#endif
		:: else
		fi;
#endif
		left = 1
	:: else
	fi
}

proctype Locker(byte me; byte rounds)
{
	byte owner;
	bit taken, left, found;

	{
	do
	:: rounds > 0 ->
		try();
		do
		:: taken -> break
		:: !taken ->		/* awaitLock */
#ifdef MUT_LOCK_LOOKS_FIRST
			try();
			if :: taken -> break :: else fi;
#endif
			atomic { flagged = 1; since = since | BIT(me) };
#ifndef MUT_LOCK_LOOKS_FIRST
			try();
			if :: taken -> break :: else fi;
#endif
			atomic {
				if
#ifdef MUT_LOCK_FLAG_WITHOUT_COUNT
				:: word == owner -> queue = queue | BIT(me)	/* sleeps on the word */
#else
				:: flagged && (since & BIT(me)) -> queue = queue | BIT(me)
#endif
				:: else
				fi
			};
			if
			:: !(queue & BIT(me))
			:: (queue & BIT(me)) &&
			    (overdue & BIT(me)) -> atomic { overdue = overdue & ~BIT(me); queue = queue & ~BIT(me) }
			fi;
			try()
		od;
		atomic {
			assert(inside == NOBODY || (dead & BIT(inside)));
			assert(!half || owner != NOBODY);	/* it gets the status for an abandoned lock */
			inside = me;
			half = 1
		};
		atomic { half = 0; inside = NOBODY; taken = 0; owner = 0 };
		leave(me, NOBODY);
		atomic { assert(left); rounds--; left = 0; found = 0 }
	:: rounds == 0 -> break
	od;
	atomic { gone = gone | BIT(me) }
	} unless {
		atomic { kill?eval(me) -> d_step { dead = dead | BIT(me); overdue = 255; owner = 0; taken = 0; left = 0;
		                                  found = 0; rounds = 0 } }
	}
}

/* AbandonLocks, by the process that cleans a dead participant's row. */
proctype LockCleaner(byte me; byte whose)
{
	bit left, found;

end:	(dead & BIT(whose));
#ifdef MUT_LOCK_CLEANED_AS_FREE
	leave(whose, NOBODY);
#else
	leave(whose, ABANDONED);
#endif
	left = 0
}
