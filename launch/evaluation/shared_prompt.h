// Several policies share one prompt. If each keeps the whole prompt until it
// ends (cache.when: once), the model needs to read it only once: in slot 0,
// into all of them. From then on policy i goes on in slot i by itself.
#pragma once

#include <vector>

#include "engine/cache/cache_policy.h"

namespace subgen {

// Makes policies of all `subjects`, none of which chooses before the prompt
// ends. All agree in TransformsRows. The configuration that the factory is
// called with does not matter. Shares of heads are for those that want them.
PolicyFactory SharePrompt(std::vector<CacheConfig> subjects);

}  // namespace subgen
