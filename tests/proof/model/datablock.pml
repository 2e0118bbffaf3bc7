/* The protocol of docs/protocol.md as a model. run.py has the processes of each configuration. */
#include "words.pml"
#include "recovery.pml"
#include "producer.pml"
#include "consumer.pml"
#ifdef WITH_Opener
#include "names.pml"
#endif
#ifdef WITH_Member
#include "evict.pml"
#endif
#ifdef WITH_Locker
#include "lock.pml"
#endif

init
{
	atomic {
#ifdef WITH_Producer
		givenBlock();
#endif
		START
	}
}
