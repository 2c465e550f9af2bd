# Checks the requirements of the build: Rust, libclang, ROS 2 and message packages. Each function
# checks one of them. If it is missing, the function records the fault and the command that fixes
# it. CMakeLists.txt then shows all faults together.

# Records a fault. The line starts with a blank, because CMake breaks other lines.
function(add_missing what command)
  set_property(GLOBAL APPEND_STRING PROPERTY aether_missing " ${what}\n     ${command}\n")
endfunction()

# Sets CARGO. Cargo.toml contains the required version of Rust.
function(require_rust)
  set(get_rust "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh")
  file(STRINGS Cargo.toml needed REGEX "^rust-version *=")
  string(REGEX REPLACE "[^0-9.]" "" needed "${needed}")

  find_program(CARGO cargo HINTS "$ENV{CARGO_HOME}/bin" "$ENV{HOME}/.cargo/bin")
  if(NOT CARGO)
    add_missing("cargo is missing: it is neither on PATH nor in ~/.cargo/bin. Install Rust ${needed} or newer:" "${get_rust}")
    return()
  endif()
  get_filename_component(folder "${CARGO}" DIRECTORY)
  # Cargo runs the first rustc on PATH. The cargo of rustup runs the rustc of the same toolchain. A
  # setting of rustup, or a file rust-toolchain.toml of the folder, selects the toolchain.
  set(rustc rustc)
  if(EXISTS "${folder}/rustup")
    set(rustc "${folder}/rustc")
  endif()
  foreach(tool IN ITEMS "${CARGO}" "${rustc}")
    get_filename_component(name "${tool}" NAME)
    execute_process(COMMAND "${tool}" --version WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}"
      OUTPUT_VARIABLE output ERROR_VARIABLE error RESULT_VARIABLE code)
    string(REGEX MATCH "[0-9]+[.][0-9]+[.0-9]*" version "${output}")
    if(NOT code EQUAL 0 OR version STREQUAL "")
      if(error STREQUAL "")
        set(error "${code}")
      endif()
      string(REGEX REPLACE "\n.*" "" error "${error}")
      set(wrong "${name} does not run (${tool}: ${error}). Rust ${needed} or newer is needed:")
    elseif(version VERSION_LESS needed)
      set(wrong "${name} is too old: ${tool} is ${version}, and this package needs ${needed} or newer:")
    else()
      continue()
    endif()
    # Search for cargo again in the next run. Otherwise CMake keeps the old path after a new
    # installation.
    unset(CARGO CACHE)
    if(NOT EXISTS "${folder}/rustup")
      add_missing("${wrong}" "${get_rust}")
    elseif(DEFINED ENV{RUSTUP_TOOLCHAIN})
      add_missing("${wrong}" "rustup update stable && export RUSTUP_TOOLCHAIN=stable")
    else()
      # An override has priority over a file rust-toolchain.toml in a folder above, and over the
      # default.
      add_missing("${wrong}" "rustup update stable && rustup override set stable --path '${CMAKE_CURRENT_SOURCE_DIR}'")
    endif()
    return()
  endforeach()
endfunction()

# Checks that libclang is in a folder in which bindgen searches. The folders are those of clang-sys,
# build/common.rs and build/dynamic.rs.
function(require_libclang)
  set(names "libclang.so" "libclang-*.so" "libclang.so.*" "libclang-*.so.*")
  if(DEFINED ENV{LIBCLANG_PATH})
    # bindgen then searches nowhere else. The value is a folder or the file.
    set(folders "$ENV{LIBCLANG_PATH}")
    get_filename_component(name "$ENV{LIBCLANG_PATH}" NAME)
    if(name MATCHES "^libclang.*[.]so" AND EXISTS "$ENV{LIBCLANG_PATH}" AND NOT IS_DIRECTORY "$ENV{LIBCLANG_PATH}")
      return()
    endif()
  else()
    set(llvm_config "$ENV{LLVM_CONFIG_PATH}")
    if(llvm_config STREQUAL "")
      set(llvm_config llvm-config)
    endif()
    execute_process(COMMAND "${llvm_config}" --prefix OUTPUT_VARIABLE llvm ERROR_QUIET RESULT_VARIABLE code
      OUTPUT_STRIP_TRAILING_WHITESPACE)
    set(folders)
    if(code EQUAL 0)
      list(APPEND folders "${llvm}/bin" "${llvm}/lib" "${llvm}/lib64")
    endif()
    string(REPLACE ":" ";" paths "$ENV{LD_LIBRARY_PATH}:$ENV{LIBRARY_PATH}")
    list(APPEND folders ${paths} "/usr/local/llvm*/lib*" "/usr/local/lib*/*/*" "/usr/local/lib*/*" "/usr/local/lib*"
      "/usr/lib*/*/*" "/usr/lib*/*" "/usr/lib*")
  endif()
  foreach(folder IN LISTS folders)
    foreach(name IN LISTS names)
      file(GLOB files "${folder}/${name}")
      list(FILTER files EXCLUDE REGEX "-cpp[.]")
      if(files)
        return()
      endif()
    endforeach()
  endforeach()
  if(DEFINED ENV{LIBCLANG_PATH})
    add_missing("libclang is missing: LIBCLANG_PATH is '$ENV{LIBCLANG_PATH}', but it contains no libclang.so. Use the libclang of the system:"
      "unset LIBCLANG_PATH && sudo apt install libclang-dev")
  else()
    add_missing("libclang is missing: bindgen needs it to read the headers of ROS. Install it:" "sudo apt install libclang-dev")
  endif()
endfunction()

# Sets sourced_prefixes: the sourced folders in their order, without duplicates.
macro(get_sourced_prefixes)
  string(REPLACE ":" ";" sourced_prefixes "$ENV{AMENT_PREFIX_PATH}:$ENV{CMAKE_PREFIX_PATH}")
  list(APPEND sourced_prefixes ${CMAKE_PREFIX_PATH})
  list(FILTER sourced_prefixes EXCLUDE REGEX "^$")
  list(REMOVE_DUPLICATES sourced_prefixes)
endmacro()

# Checks that ROS 2 is sourced, and sets ros_is_sourced. Without ROS 2 the message packages are not
# checked, because all of them would be missing.
function(require_ros)
  set(ros_is_sourced FALSE PARENT_SCOPE)
  file(GLOB setups /opt/ros/*/setup.bash)
  list(APPEND setups "/opt/ros/jazzy/setup.bash")
  list(GET setups 0 setup)
  foreach(prefix IN LISTS sourced_prefixes)
    if(EXISTS "${prefix}/share/ament_cmake/package.xml")
      set(ros_is_sourced TRUE PARENT_SCOPE)
      if("$ENV{ROS_DISTRO}" STREQUAL "")
        add_missing("ROS_DISTRO is not set, so ROS 2 was sourced only in part. Source it again:" "source ${prefix}/setup.bash")
      endif()
      return()
    endif()
  endforeach()
  add_missing("No ROS 2 is sourced: ament_cmake is in no folder of AMENT_PREFIX_PATH or CMAKE_PREFIX_PATH. Source ROS 2:" "source ${setup}")
endfunction()

# Checks a message package and the packages that its messages use. Appends them to the global
# property `aether_interfaces`. `because` names the package that needs this one; it may be empty.
#
# If a package of a package is missing, find_package() of CMake prints a page of text. Therefore
# this function searches first.
function(require_interfaces package because)
  get_property(known GLOBAL PROPERTY aether_interfaces)
  if("${package}" IN_LIST known)
    return()
  endif()
  set_property(GLOBAL APPEND PROPERTY aether_interfaces "${package}")
  foreach(prefix IN LISTS sourced_prefixes)
    if(EXISTS "${prefix}/share/${package}/package.xml")
      set(needed)
      set(file "${prefix}/share/${package}/cmake/ament_cmake_export_dependencies-extras.cmake")
      if(EXISTS "${file}")
        file(READ "${file}" text)
        if(text MATCHES "set[(]_exported_dependencies \"([^\"]*)\"")
          set(needed "${CMAKE_MATCH_1}")
          list(FILTER needed INCLUDE REGEX "(msg|msgs|messages|srvs|actions|interfaces)$")
          list(REMOVE_DUPLICATES needed)
        endif()
      endif()
      foreach(other IN LISTS needed)
        require_interfaces("${other}" " ${package} needs it.")
      endforeach()
      return()
    endif()
  endforeach()
  find_package("${package}" QUIET)
  if(NOT ${package}_FOUND)
    string(REPLACE "_" "-" name "${package}")
    add_missing("The message package ${package} is not sourced.${because} Source the workspace that contains it. If it is part of ROS, install it:"
      "sudo apt install ros-$ENV{ROS_DISTRO}-${name}")
  endif()
endfunction()
