# Writes start/PROGRAM into the build folder for each of ros_programs: see start.in.

# Quotes a text as one word of sh.
function(quoted text result)
  string(REPLACE "'" "'\\''" text "${text}")
  set(${result} "'${text}'" PARENT_SCOPE)
endfunction()

function(configure_start_scripts)
  # Collect the sourced prefixes, without the prefix of this package, which the script finds itself.
  # Collect their library folders too: lib, and others such as lib/x86_64-linux-gnu in some
  # distributions.
  set(prefixes ${sourced_prefixes})
  list(REMOVE_ITEM prefixes "${CMAKE_INSTALL_PREFIX}")
  string(REPLACE ":" ";" sourced_libraries "$ENV{LD_LIBRARY_PATH}")
  set(libraries)
  foreach(prefix IN LISTS prefixes)
    list(APPEND libraries "${prefix}/lib")
    foreach(folder IN LISTS sourced_libraries)
      string(FIND "${folder}/" "${prefix}/" at)
      if(at EQUAL 0)
        list(APPEND libraries "${folder}")
      endif()
    endforeach()
  endforeach()
  list(REMOVE_DUPLICATES libraries)
  string(REPLACE ";" ":" prefixes "${prefixes}")
  string(REPLACE ";" ":" libraries "${libraries}")
  string(REPLACE ";" ":" start_packages "rcl;${interfaces}")
  quoted("${prefixes}" start_prefixes)
  quoted("${libraries}" start_libraries)
  quoted("${CMAKE_INSTALL_PREFIX}" start_home)
  set(start_distro "$ENV{ROS_DISTRO}")
  foreach(program IN LISTS ros_programs)
    configure_file(cmake/start.in "start/${program}" @ONLY)
  endforeach()
endfunction()
