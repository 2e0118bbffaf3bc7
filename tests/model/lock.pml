/* The locks that participants share (docs/protocol.md section 4): taken from the dead, and
 * waited for. One lock, without rows: who is dead is what the kernel would say. */

#define NOBODY 0
#define ABANDONED 255

byte word;               /* its owner's mark */
bit  flagged;            /* the lowest bit of `sleepers`: somebody sleeps, or is about to */
byte since;              /* the count above it: bit per process, as with `event` */
byte queue;              /* asleep on `sleepers` */

/* Known to the checker only. */
byte inside;             /* who is between lock and unlock */
bit  half;               /* what the lock protects is half changed */

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

/* leaveLock, which wakes whoever the flag stands for, and counts up, so that nobody who has set
 * it goes to sleep any more. */
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
			:: else		/* somebody else has counted up, and wakes */
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
			assert(!half || owner != NOBODY);	/* told that it was abandoned */
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

/* abandonLocks, by who cleans the row of somebody dead. */
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
